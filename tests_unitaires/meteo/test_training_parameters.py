from typing import Any

import pytest

from meteo.errors import InvalidInput
from meteo.training_parameters import PARAMETERS, ModelKind, checked, defaults


@pytest.mark.parametrize("kind", PARAMETERS)
def test_what_a_kind_is_trained_with_by_default_it_takes(kind: ModelKind) -> None:
    assert checked(kind, defaults(kind)) == defaults(kind)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_ends_are_taken_and_what_is_beyond_them_is_not(kind: ModelKind) -> None:
    for name, parameter in PARAMETERS[kind].items():
        for value in (parameter.low, parameter.high):
            assert checked(kind, {name: value}) == {name: value}
        wrong: list[Any] = [parameter.low - 1, parameter.high + 1, float("nan"), True, "3", None]
        for refused in wrong:
            with pytest.raises(InvalidInput) as raised:
                checked(kind, {name: refused})
            assert list(raised.value.fields) == [(f"params.{name}", parameter.sentence)]


def test_a_whole_number_is_needed_where_things_are_counted() -> None:
    with pytest.raises(InvalidInput, match="must be a whole number from 1 to 16"):
        checked("xgboost", {"max_depth": 3.5})
    assert checked("xgboost", {"eta": 1}) == {"eta": 1}, "one is a number as well"


def test_a_parameter_of_another_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"'params\.eta' is no parameter of logistic, which takes C"):
        checked("logistic", {"eta": 0.1})


def test_a_long_list_of_wrong_ones_is_cut_in_the_sentence_not_in_the_fields() -> None:
    given: dict[str, Any] = {f"p{number}": 0 for number in range(9)}
    with pytest.raises(InvalidInput) as raised:
        checked("logistic", given)
    assert (raised.value.detail.count("is no parameter"), len(raised.value.fields)) == (5, 9)
