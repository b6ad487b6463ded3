"""How incoming rows meet stored ones: the rules of the archive.

A blank never overwrites a value, an unchanged row is not touched, every changed value leaves a revision (old, new,
when, which run), and a row observed at another BOM site never changes a stored one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, insert, select, update

from meteo.archive.tables import OBSERVATIONS, REVISIONS
from meteo.observation import FIELDS, NAMES, Observations, from_items
from meteo.station import station


@dataclass(frozen=True)
class RowCounts:
    """How many rows were found new, changed and unchanged, and how many were refused."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    quarantined: int = 0

    def __add__(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True)
class Quarantined:
    """A row that was refused: why, which fields are at fault ("date" or "station" when it cannot be placed), and the
    row as it was read, by field name."""

    station: str
    day: date | None
    reason: str
    fields: Sequence[str]
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """Rows of one file that passed the checks, and those that did not. A station-day stands in it once."""

    observations: Observations
    product: str
    quarantined: Sequence[Quarantined] = ()


_STORED = (
    select(OBSERVATIONS.c.station, OBSERVATIONS.c.day, OBSERVATIONS.c.site, *(OBSERVATIONS.c[name] for name in NAMES))
    .where(OBSERVATIONS.c.station.in_(bindparam("stations", expanding=True)))
    .where(OBSERVATIONS.c.day.between(bindparam("first"), bindparam("last")))
)
_UPDATE = (
    update(OBSERVATIONS)
    .where(OBSERVATIONS.c.station == bindparam("_station"))
    .where(OBSERVATIONS.c.day == bindparam("_day"))
)


@dataclass(frozen=True)
class Merged:
    """What a merge did; `touched` are the rows that are new or changed, as they were given."""

    changes: RowCounts
    touched: Observations
    refused: Sequence[Quarantined]


def merge(connection: Connection, batch: Batch, run_id: int, source: str, replace: bool = False) -> Merged:
    """Store the batch's rows; with `replace` they are the whole truth, blanks and sites included."""
    rows = batch.observations
    if not len(rows):
        return Merged(RowCounts(quarantined=len(batch.quarantined)), rows, batch.quarantined)
    stored, sites = _stored(connection, rows)
    keys: list[tuple[str, date]] = list(zip(rows.station.tolist(), rows.day.tolist(), strict=True))
    place = {name: station(name).site_of(batch.product) for name in np.unique(rows.station).tolist()}
    elsewhere = np.array([not replace and sites.get(key, place[key[0]]) != place[key[0]] for key in keys])
    refused = [
        *batch.quarantined,
        *(
            _elsewhere(keys[row], sites[keys[row]], place[keys[row][0]], rows[row : row + 1])
            for row in np.flatnonzero(elsewhere)
        ),
    ]
    known = np.array([key in stored for key in keys])
    fresh = np.flatnonzero(~known)
    again = np.flatnonzero(known & ~elsewhere)
    old = np.array([stored[keys[row]] for row in again]).reshape(-1, len(FIELDS))
    given = rows.values[again]
    merged = given if replace else np.where(np.isnan(given), old, given)
    differs = ~((merged == old) | (np.isnan(merged) & np.isnan(old)))
    changed = differs.any(axis=1)

    at = datetime.now(UTC)
    provenance = {"source": source, "product": batch.product, "run_id": run_id, "changed_at": at}
    if len(fresh):
        connection.execute(
            insert(OBSERVATIONS),
            [
                {"station": keys[row][0], "day": keys[row][1], "site": place[keys[row][0]], **items, **provenance}
                for row, items in zip(fresh, rows[fresh].items(), strict=True)
            ],
        )
    if changed.any():
        updated = Observations(rows.station[again], rows.day[again], merged)[changed]
        connection.execute(
            _UPDATE,
            [
                {"_station": keys[row][0], "_day": keys[row][1], "site": place[keys[row][0]], **items, **provenance}
                for row, items in zip(again[changed], updated.items(), strict=True)
            ],
        )
        connection.execute(
            insert(REVISIONS),
            [
                _revision(keys[again[row]], column, (old[row, column], merged[row, column]), run_id, at)
                for row, column in np.argwhere(differs)
            ],
        )
    changes = RowCounts(len(fresh), int(changed.sum()), int(len(again) - changed.sum()), len(refused))
    return Merged(changes, rows[np.sort(np.concatenate([fresh, again[changed]]))], refused)


def _revision(
    key: tuple[str, date], column: int, values: tuple[float, float], run_id: int, at: datetime
) -> dict[str, object]:
    """What one value was before, and what it became."""
    old, new = (FIELDS[column].text(value) for value in values)
    return {
        "station": key[0],
        "day": key[1],
        "field": NAMES[column],
        "old": old,
        "new": new,
        "run_id": run_id,
        "changed_at": at,
    }


def _elsewhere(key: tuple[str, date], stored: str, given: str, row: Observations) -> Quarantined:
    reason = f"station: observed at BOM site {given}, while this day is stored from site {stored}"
    return Quarantined(*key, reason, ["station"], row.items()[0])


def _stored(
    connection: Connection, incoming: Observations
) -> tuple[dict[tuple[str, date], NDArray[np.float64]], dict[tuple[str, date], str]]:
    first, last = incoming.day.min().item(), incoming.day.max().item()
    given = {"stations": np.unique(incoming.station).tolist(), "first": first, "last": last}
    rows = connection.execute(_STORED, given).all()
    if not rows:
        return {}, {}
    names, days, sites, *columns = zip(*rows, strict=True)
    keys = list(zip(names, days, strict=True))
    values = from_items(names, days, columns).values
    return dict(zip(keys, values, strict=True)), dict(zip(keys, sites, strict=True))
