"""Train, validation and test by time: nothing that is fitted sees a later period."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from meteo.errors import InvalidInput, NotEnoughData

PARTS = ("train", "validation", "test")


def boundaries(
    days: NDArray[np.datetime64],
    validation_start: date | None,
    test_start: date | None,
    validation_share: float,
    test_share: float,
) -> tuple[date, date]:
    """The first day of the validation and of the test period.

    Where not given, the last `test_share` of the rows is the test period and, of what lies before it, the last
    `validation_share` is the validation period, both from midnight of a day. `days` (n,) holds each row's day.
    """
    if not len(days):
        raise NotEnoughData("there are no observations to learn from: run an ingestion first")
    ordered = np.sort(days)
    first, last = ordered[0].item(), ordered[-1].item()
    test = test_start or _tail_start(ordered, test_share)
    earlier = ordered[ordered < np.datetime64(test, "D")]
    if not len(earlier):
        raise InvalidInput(f"test_start {test} leaves nothing to train on: the first day is {first}")
    validation = validation_start or _tail_start(earlier, validation_share)
    if not first < validation < test <= last:
        raise InvalidInput(
            f"the split needs first day < validation_start < test_start <= last day, "
            f"but has {first}, {validation}, {test}, {last}"
        )
    return validation, test


def parts(days: NDArray[np.datetime64], validation_start: date, test_start: date) -> NDArray[np.str_]:
    """The part each day belongs to, (n,)."""
    return np.select(
        [days >= np.datetime64(test_start, "D"), days >= np.datetime64(validation_start, "D")],
        ["test", "validation"],
        "train",
    )


def _tail_start(ordered: NDArray[np.datetime64], share: float) -> date:
    day: date = ordered[int(len(ordered) * (1 - share))].item()
    return day
