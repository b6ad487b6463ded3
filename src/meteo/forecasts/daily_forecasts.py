"""The prediction log summed up in SQL, so that what is read of it is bounded by days, stations and versions, however
many predictions there were; and what is kept of predictions that are removed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    Table,
    bindparam,
    case,
    cast,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import SMOKE_TEST
from meteo.forecasts.tables import DAILY_FORECASTS, PREDICTIONS
from meteo.observation import RAIN_THRESHOLD_MM, Floats, rain_period
from meteo.runtime.database import UtcDateTime, writing
from meteo.station import stations

BINS = 200
"""Forecasts of a station-day and version are summed up in so many bins of equal width."""

_CHUNK_DAYS = 31
_DAY = timedelta(days=1)
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Forecasts:
    """Sums over the forecasts of one station-day, version and bin each, (cells,): how many they are, the sums of their
    probabilities and of the squares of these, and what happened: 1.0 wet, 0.0 dry, NaN not known (yet). `station`
    counts through `stations()`."""

    day: NDArray[np.datetime64]
    station: NDArray[np.int_]
    version: NDArray[np.int_]
    n: Floats
    probability: Floats
    squared: Floats
    outcome: Floats

    def __len__(self) -> int:
        return len(self.n)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Forecasts":
        return Forecasts(**{name: column[chosen] for name, column in vars(self).items()})

    @property
    def mean(self) -> Floats:
        """The mean probability of each cell."""
        return self.probability / self.n

    @property
    def squared_error(self) -> Floats:
        """The sums of (probability - outcome)^2."""
        return self.squared + self.outcome * (self.n - 2 * self.probability)


def forecasts(log: Engine, store: ObservationStore, start: date | None, end: date | None) -> Forecasts:
    """Those predictions from the days start..end that foretold something: asked before their period was over, and
    before what then fell was stored. What is asked about days long past is hindsight, and says nothing of how good
    forecasts are; nor does what the smoke test asks. Simulated days end by no real clock: of them only the storing
    counts."""
    kept = select(DAILY_FORECASTS)
    parts = []
    with log.connect() as connection:
        for days in _chunks(_days(connection, PREDICTIONS, start, end)):
            rows = [row for given in _untils(store, days) for row in _rows(connection, _sums(), given)]
            parts.append(_with_outcomes(rows, store, days))
        for days in _chunks(_days(connection, DAILY_FORECASTS, start, end)):
            rows = _rows(connection, kept.where(DAILY_FORECASTS.c.day.between(days[0], days[-1])))
            parts.append(_with_outcomes(rows, store, days))
    names = [field.name for field in fields(Forecasts)]
    nothing = _with_outcomes([], store, [])
    return Forecasts(*(np.concatenate([getattr(part, name) for part in (nothing, *parts)]) for name in names))


def forget(log: Engine, store: ObservationStore, before: datetime) -> int:
    """Remove predictions that were answered before an instant, and keep the sums of the forecasts among them; how many
    were removed. Day by day, so that whoever records predictions never waits long."""
    old = PREDICTIONS.c.made_at < before
    with log.connect() as connection:
        found = connection.scalars(select(PREDICTIONS.c.day).where(old).distinct().order_by(PREDICTIONS.c.day)).all()
    removed, sums = 0, _sums().where(old)
    for days in _chunks(found):
        for day, given in zip(days, _untils(store, days), strict=True):
            with writing(log) as connection:
                _add(connection, _rows(connection, sums, given))
                removed += connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.day == day, old)).rowcount
    return removed


def forget_days(log: Engine, before: date) -> int:
    """Remove the sums of forecasts from days before that one; how many."""
    with writing(log) as connection:
        return connection.execute(delete(DAILY_FORECASTS).where(DAILY_FORECASTS.c.day < before)).rowcount


def _days(connection: Connection, table: Table, start: date | None, end: date | None) -> list[date]:
    query = select(table.c.day).distinct().order_by(table.c.day)
    if start is not None:
        query = query.where(table.c.day >= start)
    if end is not None:
        query = query.where(table.c.day <= end)
    return list(connection.scalars(query))


def _chunks(days: Iterable[date]) -> Iterator[list[date]]:
    """The days, in order, in groups that span _CHUNK_DAYS or less."""
    group: list[date] = []
    for day in days:
        if group and (day - group[0]).days >= _CHUNK_DAYS:
            yield group
            group = []
        group.append(day)
    if group:
        yield group


def _rows(connection: Connection, query: Select[Any], given: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query, given).mappings()]


def _with_outcomes(rows: Sequence[Mapping[str, Any]], store: ObservationStore, days: Sequence[date]) -> Forecasts:
    fell = store.rainfall(days[0] + _DAY, days[-1] + _DAY) if rows else {}
    place = {name: number for number, name in enumerate(stations())}
    after = [fell.get((row["station"], row["day"] + _DAY), np.nan) for row in rows]
    return Forecasts(
        np.array([row["day"] for row in rows], dtype="datetime64[D]"),
        np.array([place[row["station"]] for row in rows], dtype=int),
        np.array([row["model_version"] for row in rows], dtype=int),
        np.array([row["n"] for row in rows], dtype=float),
        np.array([row["probability"] for row in rows], dtype=float),
        np.array([row["squared"] for row in rows], dtype=float),
        np.where(np.isnan(after), np.nan, np.array(after, dtype=float) > RAIN_THRESHOLD_MM),
    )


@cache
def _sums() -> Select[Any]:
    """The sums of a day's forecasts, with what `_untils` gives; made once, for it takes longer than to be executed."""
    log = PREDICTIONS.c
    place = _floor(log.probability * BINS).label("bin")
    until = {name: bindparam(f"until_{number}", type_=UtcDateTime()) for number, name in enumerate(stations())}
    return (
        select(
            log.day,
            log.station,
            log.model_version,
            place,
            func.count().label("n"),
            func.sum(log.probability).label("probability"),
            func.sum(log.probability * log.probability).label("squared"),
        )
        .where(log.subject != SMOKE_TEST, log.day == bindparam("of_day"), log.made_at < case(until, value=log.station))
        .group_by(log.day, log.station, log.model_version, place)
    )


def _untils(store: ObservationStore, days: Sequence[date]) -> Iterator[dict[str, Any]]:
    """For each day what `_sums` needs: by when a prediction of each station must have been made to be a forecast."""
    known = store.rain_known_since(days[0] + _DAY, days[-1] + _DAY)
    simulated = store.simulated() is True
    for day in days:
        until = {
            f"until_{number}": min(
                known.get((name, day + _DAY), _NEVER), _NEVER if simulated else rain_period(day, place.zone)[1]
            )
            for number, (name, place) in enumerate(stations().items())
        }
        yield {"of_day": day, **until}


def _floor(value: ColumnElement[float]) -> ColumnElement[int]:
    """SQLite cuts a number off where PostgreSQL rounds it."""
    whole = cast(value, Integer)
    return case((whole > value, whole - 1), else_=whole)


def _add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add to the sums that are kept."""
    if not rows:
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    adding = insert(DAILY_FORECASTS)
    sums = {name: DAILY_FORECASTS.c[name] + adding.excluded[name] for name in ("n", "probability", "squared")}
    connection.execute(adding.on_conflict_do_update(index_elements=DAILY_FORECASTS.primary_key, set_=sums), rows)
