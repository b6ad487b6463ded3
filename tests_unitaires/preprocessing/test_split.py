from datetime import date

import numpy as np
import pytest

from meteo.errors import InvalidInput, NotEnoughData
from preprocessing.split import boundaries, parts

DAYS = np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]")  # 100 days


def test_shares_are_of_rows_and_cut_at_midnight() -> None:
    twice = np.repeat(DAYS, 2)
    validation, test = boundaries(twice, None, None, 0.1, 0.2)
    part = parts(twice, validation, test)
    assert [(part == name).sum() for name in ("train", "validation", "test")] == [144, 16, 40]
    assert test == date(2020, 3, 21)


def test_a_gap_of_years_does_not_empty_a_part() -> None:
    gapped = np.concatenate([DAYS, DAYS + 3650])
    part = parts(gapped, *boundaries(gapped, None, None, 0.15, 0.15))
    assert all((part == name).sum() > 20 for name in ("train", "validation", "test"))


def test_every_part_lies_after_the_one_before() -> None:
    shuffled = np.random.default_rng(0).permutation(DAYS)
    part = parts(shuffled, *boundaries(shuffled, None, None, 0.15, 0.15))
    assert shuffled[part == "train"].max() < shuffled[part == "validation"].min()
    assert shuffled[part == "validation"].max() < shuffled[part == "test"].min()


def test_given_boundaries_are_kept() -> None:
    assert boundaries(DAYS, date(2020, 2, 1), date(2020, 3, 1), 0.15, 0.15) == (date(2020, 2, 1), date(2020, 3, 1))


@pytest.mark.parametrize(
    ("validation", "test"),
    [(date(2020, 3, 1), date(2020, 2, 1)), (date(2019, 1, 1), date(2020, 2, 1)), (None, date(2021, 1, 1)),
     (None, date(2019, 1, 1))],
)  # fmt: skip
def test_boundaries_that_leave_a_part_empty_are_refused(validation: date | None, test: date) -> None:
    with pytest.raises(InvalidInput, match="test_start"):
        boundaries(DAYS, validation, test, 0.15, 0.15)


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(NotEnoughData, match="run an ingestion first"):
        boundaries(DAYS[:0], None, None, 0.15, 0.15)
