"""Cells of a source file as numbers, compass points and days."""

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache

import numpy as np

_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
MISSING_DAY = np.datetime64("NaT", "D")


class CellReader(dict[str, "float | np.datetime64"]):
    """Reads each distinct text once; `problems` says what is wrong with those that cannot be read (NaN, NaT)."""

    def __init__(self, read: "Callable[[str], float] | Callable[[str], np.datetime64]") -> None:
        super().__init__()
        self._read = read
        self.problems: dict[str, str] = {}

    def __missing__(self, text: str) -> "float | np.datetime64":
        value: float | np.datetime64
        try:
            value = self._read(text)
        except ValueError as error:
            value = MISSING_DAY if self._read is read_day else float("nan")
            self.problems[text] = str(error)
        self[text] = value
        return value


def read_day(text: str) -> np.datetime64:
    match = _DAY.fullmatch(text.strip())
    try:
        return np.datetime64(date(*(int(part) for part in match.groups())), "D") if match else _no_day(text)
    except ValueError:
        return _no_day(text)


def _no_day(text: str) -> np.datetime64:
    raise ValueError(f"{text[:20]!a} is not a day written YYYY-MM-DD")


@lru_cache(maxsize=200_000)
def day_number(text: str) -> int:
    """The day's place in a row of 2**17 bits that begins in 1850; 0 for what is none of its days."""
    try:
        number = int(read_day(text).astype(int)) + 43_830
    except ValueError:
        return 0
    return number if 0 < number < 1 << 17 else 0
