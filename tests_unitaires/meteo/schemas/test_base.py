import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from meteo.schemas.base import Body, Day, Text, without_controls, wrong_order


class Asked(Body):
    name: Text
    day: Day
    share: float = 0.0


def read(**given: Any) -> Asked:
    return Asked.model_validate({"name": "x", "day": "2017-06-20"} | given)


def test_a_day_is_written_out() -> None:
    assert read().day == dt.date(2017, 6, 20)
    for wrong in ("0", 0, "20170620", "2017-6-20", "2017-06-20T00:00", "2017-02-30", "1899-12-31", "2200-01-01"):
        with pytest.raises(ValidationError):
            read(day=wrong)


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "\x7f", "\x85", "\ud800"])
def test_no_text_holds_a_control_character_wherever_it_is(text: str) -> None:
    for place in (text, [text], {"key": text}, {text: "value"}, [{"deep": (text,)}]):
        with pytest.raises(ValueError, match="control character or a lone surrogate"):
            without_controls(place)
    with pytest.raises(ValidationError):
        read(name=text)


def test_other_text_is_left_as_it_is() -> None:
    assert without_controls("Mount Gambier · 9 h – é 🌧") == "Mount Gambier · 9 h – é 🌧"


@pytest.mark.parametrize("given", [{"share": "0.5"}, {"share": float("nan")}, {"share": float("inf")}, {"other": 1}])
def test_a_body_is_strict(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**given)


def test_a_range_may_be_one_day_and_not_end_before_it_begins() -> None:
    first, second = dt.date(2017, 6, 20), dt.date(2017, 6, 21)
    assert wrong_order(first, first) is None
    assert wrong_order(None, first) is wrong_order(second, None) is None
    assert wrong_order(second, first) == "must not be before start, 2017-06-21"
