import pytest

from meteo.errors import InvalidInput
from streamlit_app.views.training import parameters


def test_each_line_is_a_parameter_whole_decimal_or_word() -> None:
    given = "max_depth = 6\n\n eta=0.02 \nbooster = dart\nodd = nan"
    assert parameters(given) == {"max_depth": 6, "eta": 0.02, "booster": "dart", "odd": "nan"}
    assert parameters("  \n") == {}


@pytest.mark.parametrize("line", ["max_depth 6", "= 6", "max depth = 6", "eta ="])
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(InvalidInput, match=line.strip()):
        parameters(f"rounds = 50\n{line}")
