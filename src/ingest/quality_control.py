"""Three grades of a row: refused (impossible) rows go to quarantine, suspect values are stored and flagged, the rest is
fine. The rules stand in `meteo.data_contract`; what is normal was fitted on history (`ingest.climate_limits`)."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ingest.climate_limits import Normal
from meteo.archive.merge import Batch, Quarantined
from meteo.archive.store import Flag
from meteo.data_contract import CONSISTENT, PERSISTENT_DAYS, SATURATED, VARYING
from meteo.observation import FIELDS, Observations
from meteo.station import stations

LOW, HIGH = (np.array([getattr(field, end) for field in FIELDS]) for end in ("low", "high"))
"""The physical limits of `meteo.observation`, one a field."""


def check(batch: Batch, now: datetime) -> Batch:
    """`batch` with the rows moved to quarantine that are impossible, of a day to come, or told twice differently."""
    rows, wrong = _unique(batch.observations)
    for row, column in np.argwhere((rows.values < LOW) | (rows.values > HIGH)).tolist():
        field = FIELDS[column]
        limits = f"outside {field.low:g} to {field.high:g} {field.unit}".rstrip()
        wrong.setdefault(row, []).append((field.name, limits))
    today = {name: np.datetime64(place.today(now), "D") for name, place in stations().items()}
    coming = rows.day > np.array([today[name] for name in rows.station.tolist()], "datetime64[D]")
    for row in np.flatnonzero(coming).tolist():
        wrong.setdefault(row, []).append(("date", "has not come yet at the station"))
    good = np.ones(len(rows), dtype=bool)
    good[list(wrong)] = False
    refused = [
        Quarantined(
            str(rows.station[row]),
            rows.day[row].item(),
            "; ".join(f"{field}: {text}" for field, text in wrong[row]),
            [field for field, _ in wrong[row]],
            rows[row : row + 1].items()[0],
        )
        for row in sorted(wrong)
    ]
    return Batch(rows[good], batch.product, [*batch.quarantined, *refused])


def _unique(rows: Observations) -> tuple[Observations, dict[int, list[tuple[str, str]]]]:
    """The rows without exact repeats of a station-day, and those that disagree: nobody can say which is right."""
    order = np.lexsort((rows.day, rows.station))
    same = (rows.station[order][1:] == rows.station[order][:-1]) & (rows.day[order][1:] == rows.day[order][:-1])
    if not same.any():
        return rows, {}
    group = np.concatenate([[0], np.cumsum(~same)])
    drop, clash = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for number in np.unique(group[1:][same]):
        members = np.sort(order[group == number])
        values = rows.values[members]
        if all(np.array_equal(values[0], other, equal_nan=True) for other in values[1:]):
            drop[members[1:]] = True
        else:
            clash[members] = True
    text = "this day stands more than once in the file, with different values"
    kept = np.flatnonzero(~drop)
    return rows[kept], {row: [("date", text)] for row in np.flatnonzero(clash[kept]).tolist()}


class Suspicion:
    """Flags values that are possible and yet suspect, by the checks of WMO's guide: climatological range, step since
    the day before, persistence (a sensor that always says the same), internal consistency of two fields."""

    days_back = PERSISTENT_DAYS - 1

    def __init__(self, normal: Normal) -> None:
        self._normal = normal

    def __call__(self, rows: Observations) -> Sequence[Flag]:
        """`rows` (n,) are of one station, in order of days."""
        if not len(rows):
            return []
        station = str(rows.station[0])
        return [
            Flag(station, rows.day[row].item(), field, kind, detail[:200])
            for row, field, kind, detail in [
                *self._ranges(station, rows),
                *self._steps(station, rows),
                *_persistent(rows),
                *_inconsistent(rows),
            ]
        ]

    def _ranges(self, station: str, rows: Observations) -> list[tuple[int, str, str, str]]:
        low, high = self._normal.ranges(station, rows.day)
        outside = (rows.values < low) | (rows.values > high)
        return [
            (
                row,
                FIELDS[column].name,
                "range",
                f"normal here in this month: {low[row, column]:g} to {high[row, column]:g} {FIELDS[column].unit}",
            )
            for row, column in np.argwhere(outside).tolist()
        ]

    def _steps(self, station: str, rows: Observations) -> list[tuple[int, str, str, str]]:
        limits = self._normal.steps(station)
        change = np.abs(np.diff(rows.values, axis=0))
        next_day = np.diff(rows.day) == np.timedelta64(1, "D")
        return [
            (
                row + 1,
                FIELDS[column].name,
                "step",
                f"{change[row, column]:g} {FIELDS[column].unit} since the day before; normal: up to {limits[column]:g}",
            )
            for row, column in np.argwhere((change > limits) & next_day[:, None]).tolist()
        ]


def _persistent(rows: Observations) -> list[tuple[int, str, str, str]]:
    flags = []
    next_day = np.diff(rows.day) == np.timedelta64(1, "D")
    for name in VARYING:
        value = rows.column(name)
        same = (np.diff(value) == 0) & next_day & (value[1:] != SATURATED.get(name, np.nan))
        run = _run_lengths(same)
        flags += [
            (row + 1, name, "persistence", f"the same reading on {PERSISTENT_DAYS} days or more in a row")
            for row in np.flatnonzero(run >= PERSISTENT_DAYS - 1).tolist()
        ]
    return flags


def _run_lengths(same: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many true values end at each place."""
    count = np.cumsum(same)
    return count - np.maximum.accumulate(np.where(same, 0, count))


def _inconsistent(rows: Observations) -> list[tuple[int, str, str, str]]:
    suspect = []
    for rule in CONSISTENT:
        value, limit = rows.column(rule.field), rows.column(rule.limit)
        suspect += [
            (row, rule.field, "consistency", f"{value[row]:g}, while {rule.limit} is {limit[row]:g}")
            for row in np.flatnonzero(value > limit + rule.tolerance).tolist()
        ]
    return suspect
