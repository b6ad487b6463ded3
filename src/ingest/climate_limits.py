"""What is normal: the range of each field in each month at each station, and its change from one day to the next.

`normal.csv` was fitted on the 2007-2017 history by `python -m ingest.climate_limits weatherAUS.csv.gz`; a row with
month 0 holds the changes, in the columns of the upper limits. A figure that history cannot give is left empty: anything
goes.
"""

import csv
import sys
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from meteo.observation import FIELDS, INDEX, Floats, Observations

RANGED = tuple(field.name for field in FIELDS if not field.compass and not field.name.startswith("cloud"))
STEPPING = ("min_temp", "max_temp", "temp_9am", "temp_3pm", "pressure_9am", "pressure_3pm")

_MINIMUM_VALUES = 200
_STRETCH = 1.0
"""A limit lies as far again beyond the outer percentile as that lies from the median."""

_SKEWED = {"rainfall": 100.0, "evaporation": 20.0}
"""Amounts have a long upper tail: no less than this is out of range."""


class Normal:
    """The fitted limits; a station that is not in them has none."""

    @cached_property
    def _limits(self) -> dict[tuple[str, int], tuple[Floats, Floats]]:
        with files("ingest").joinpath("normal.csv").open(encoding="utf-8") as text:
            return {
                (row["station"], int(row["month"])): (_column(row, "low"), _column(row, "high"))
                for row in csv.DictReader(text)
            }

    def ranges(self, station: str, days: NDArray[np.datetime64]) -> tuple[Floats, Floats]:
        """Lower and upper limits, (n, FIELDS) each; NaN where there is none."""
        months = days.astype("datetime64[M]").astype(int) % 12 + 1
        none = np.full(len(FIELDS), np.nan)
        limits = [self._limits.get((station, month), (none, none)) for month in months.tolist()]
        return np.array([low for low, _ in limits]), np.array([high for _, high in limits])

    def steps(self, station: str) -> Floats:
        """The largest normal change since the day before, (FIELDS,); NaN where there is none."""
        none: Floats = np.full(len(FIELDS), np.nan)
        _, changes = self._limits.get((station, 0), (none, none))
        return changes


def fit(rows: Observations, output: TextIO) -> None:
    """Write the limits of `rows`, which are ordered by station and day."""
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(["station", "month", *(f"{name}_{side}" for name in RANGED for side in ("low", "high"))])
    for name in np.unique(rows.station).tolist():
        own = rows[rows.station == name]
        changes = np.abs(np.diff(own.values, axis=0))[np.diff(own.day) == np.timedelta64(1, "D")]
        writer.writerow(
            [
                name,
                0,
                *_cells([(None, _step(changes[:, INDEX[field]]) if field in STEPPING else None) for field in RANGED]),
            ]
        )
        month = own.day.astype("datetime64[M]").astype(int) % 12
        for number in range(12):
            near = np.isin(month, [(number - 1) % 12, number, (number + 1) % 12])
            writer.writerow([name, number + 1, *_cells([_range(field, own[near].column(field)) for field in RANGED])])


def _range(name: str, values: Floats) -> tuple[float | None, float | None]:
    known = values[~np.isnan(values)]
    if len(known) < _MINIMUM_VALUES:
        return None, None
    low, median, high = np.percentile(known, [0.5, 50, 99.5])
    if name in _SKEWED:
        return None, max(_SKEWED[name], high * (1 + _STRETCH))
    return low - _STRETCH * (median - low), high + _STRETCH * (high - median)


def _step(changes: Floats) -> float | None:
    known = changes[~np.isnan(changes)]
    return None if len(known) < _MINIMUM_VALUES else float(np.percentile(known, 99.9)) * 1.5


def _cells(limits: Sequence[tuple[float | None, float | None]]) -> list[str]:
    return ["" if value is None else f"{value:.1f}" for pair in limits for value in pair]


def _column(row: dict[str, str], side: str) -> Floats:
    limits = np.full(len(FIELDS), np.nan)
    for name in RANGED:
        if cell := row[f"{name}_{side}"]:
            limits[INDEX[name]] = float(cell)
    return limits


if __name__ == "__main__":
    from ingest.parser import read_file

    read = read_file(Path(sys.argv[1]))
    order = np.lexsort((read.day, read.station))
    with Path(__file__).with_name("normal.csv").open("w", encoding="utf-8") as table:
        fit(read[order], table)
