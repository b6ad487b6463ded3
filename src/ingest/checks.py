"""Rows that no genuine reading can explain go to quarantine, with the reason; the schema holds the limits."""

from datetime import datetime

import numpy as np

from meteo.contract import day_bodies
from meteo.observation import FIELDS, Observations
from meteo.station import stations
from meteo.store import Batch, Quarantined


def check(batch: Batch, now: datetime) -> Batch:
    """`batch` with the rows moved to quarantine that are impossible, of a day to come, or told twice differently."""
    rows = batch.observations
    reason = np.full(len(rows), "", dtype=object)
    for index, field in enumerate(FIELDS):
        value = rows.values[:, index]
        outside = (value < field.low) | (value > field.high)
        reason[outside] = f"{field.name}: outside {field.low:g} to {field.high:g} {field.unit}".rstrip()
    today = {name: np.datetime64(place.today(now), "D") for name, place in stations().items()}
    to_come = rows.day > np.array([today[name] for name in rows.station.tolist()], "datetime64[D]")
    reason[to_come] = "date: has not come yet at the station"
    rows, reason = _unique(rows, reason)
    bad = np.flatnonzero(reason != "")
    bodies = day_bodies(rows[bad])
    refused = [
        Quarantined(str(rows.station[row]), body.date, str(reason[row]), body.observation)
        for row, body in zip(bad, bodies, strict=True)
    ]
    return Batch(rows[reason == ""], batch.product, [*batch.quarantined, *refused])


def _unique(
    rows: Observations, reason: "np.typing.NDArray[np.object_]"
) -> tuple[Observations, "np.typing.NDArray[np.object_]"]:
    """Drop exact repeats of a station-day; mark those that disagree, since nobody can say which is right."""
    order = np.lexsort((rows.day, rows.station))
    same_key = (rows.station[order][1:] == rows.station[order][:-1]) & (rows.day[order][1:] == rows.day[order][:-1])
    if not same_key.any():
        return rows, reason
    drop = np.zeros(len(rows), dtype=bool)
    for place in np.flatnonzero(same_key):
        first, second = order[place], order[place + 1]
        if np.array_equal(rows.values[first], rows.values[second], equal_nan=True):
            drop[second] = True
        else:
            reason[[first, second]] = "date: this day stands twice in the file, with different values"
    return rows[~drop], reason[~drop]
