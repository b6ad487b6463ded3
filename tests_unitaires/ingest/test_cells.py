import math

import numpy as np
import pytest

from ingest.cells import CellReader, day_number, read_day


@pytest.mark.parametrize("text", ["2017-06-05", "2017-6-5", " 2017-06-05 "])
def test_a_day_is_read_with_or_without_zeros(text: str) -> None:
    assert read_day(text) == np.datetime64("2017-06-05")


@pytest.mark.parametrize("text", ["", "05/06/2017", "2017-02-30", "2017-06", "20170605", "2017-06-05T09:00"])
def test_what_is_no_day_says_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="is not a day written YYYY-MM-DD"):
        read_day(text)


def test_each_text_is_read_once_and_what_cannot_be_read_is_told() -> None:
    read = []

    def number(text: str) -> float:
        read.append(text)
        return float(text)

    cells = CellReader(number)
    assert [cells[text] for text in ("1.5", "1.5", "2")] == [1.5, 1.5, 2.0]
    assert math.isnan(float(cells["x"]))
    assert read == ["1.5", "2", "x"]
    assert list(cells.problems) == ["x"]


def test_a_day_that_cannot_be_read_is_no_day() -> None:
    days = CellReader(read_day)
    assert np.isnat(days["soon"])
    assert "soon" in days.problems


def test_days_are_numbered_in_order_and_what_is_none_is_0() -> None:
    assert day_number("2017-06-06") - day_number("2017-06-05") == 1
    assert [day_number(text) for text in ("x", "1849-12-30", "2300-01-01")] == [0, 0, 0]
    assert day_number("1850-01-01") > 0
