"""Observations in SQL: the same on SQLite and PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol

import numpy as np
from sqlalchemy import Connection, Engine, RowMapping, Select, case, delete, func, insert, select

from meteo.archive.ingestions import FileRecord, Ingestions, note
from meteo.archive.merge import Batch, RowCounts, merge
from meteo.archive.quarantine import Quarantine, put_aside
from meteo.archive.tables import FILES, FLAGS, OBSERVATIONS, QUARANTINE, REVISIONS, SCHEMA
from meteo.archive.uploads import Uploads
from meteo.observation import BY_NAME, INDEX, NAMES, Observations, from_items
from meteo.runtime.database import writing


@dataclass(frozen=True)
class Flag:
    """A stored value that is suspect; `kind` is range, step, persistence or (internal) consistency."""

    station: str
    day: date
    field: str
    kind: str
    detail: str


class Review(Protocol):
    """Looks for suspect values: a day's flags depend on that day and the `days_back` before it at its station."""

    days_back: int

    def __call__(self, rows: Observations) -> Sequence[Flag]: ...


class ObservationStore:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ingestions = Ingestions(engine)
        self.quarantine = Quarantine(engine)
        self.uploads = Uploads(engine)

    def create(self) -> None:
        """Bring the tables to their newest form."""
        SCHEMA.upgrade(self.engine)

    def upsert(
        self,
        run_id: int,
        file: FileRecord,
        batches: Iterable[Batch],
        review: Review | None = None,
        replace: bool = False,
    ) -> RowCounts:
        """Store one file's rows, what was refused of them, the flags and the record of the file in one transaction."""
        total = RowCounts()
        with writing(self.engine) as connection:
            for batch in batches:
                merged = merge(connection, batch, run_id, file.source, replace)
                put_aside(connection, merged.refused, run_id, file.source, batch.product, file.name)
                if review is not None and len(merged.touched):
                    _flag(connection, review, merged.touched)
                total += merged.changes
            note(connection, run_id, file, total)
        return total

    def window(
        self, start: date | None = None, end: date | None = None, stations: Sequence[str] | None = None
    ) -> Observations:
        """Rows of the days start..end (both included), ordered by station and day."""
        with self.engine.connect() as connection:
            return _window(connection, start, end, stations)

    def as_known(self, day: date) -> Observations:
        """The days up to `day` as they were known at its end (UTC): what was corrected or completed later is taken
        back. Days that were stored only later, as history is, count as known."""
        end = datetime.combine(day, time.max, UTC)
        later = (
            select(REVISIONS.c.station, REVISIONS.c.day, REVISIONS.c.field, REVISIONS.c.old)
            .where(REVISIONS.c.changed_at > end, REVISIONS.c.day <= day)
            .order_by(REVISIONS.c.id.desc())
        )
        with self.engine.connect() as connection:
            known = _window(connection, None, day, None)
            place = {key: row for row, key in enumerate(zip(known.station.tolist(), known.day.tolist(), strict=True))}
            for revision in connection.execute(later):
                row = place.get((revision.station, revision.day))
                if row is not None and revision.field in INDEX:
                    known.values[row, INDEX[revision.field]] = BY_NAME[revision.field].read(revision.old or "")
        return known

    def rain_known_since(self, start: date, end: date) -> dict[tuple[str, date], datetime]:
        """When the rain of each station-day start..end was first stored, at the latest: exact where it came after the
        row, else the row's first revision or, never revised, its storing."""
        key = (REVISIONS.c.station, REVISIONS.c.day)
        revised = (
            select(*key, func.min(REVISIONS.c.changed_at)).where(REVISIONS.c.day.between(start, end)).group_by(*key)
        )
        came = revised.where(REVISIONS.c.field == "rainfall", REVISIONS.c.old.is_(None))
        stored = select(OBSERVATIONS.c.station, OBSERVATIONS.c.day, OBSERVATIONS.c.changed_at).where(
            OBSERVATIONS.c.day.between(start, end), OBSERVATIONS.c.rainfall.is_not(None)
        )
        with self.engine.connect() as connection:
            found = {(row[0], row[1]): row[2] for row in connection.execute(stored)}
            for query in (revised, came):
                found |= {(row[0], row[1]): row[2] for row in connection.execute(query) if (row[0], row[1]) in found}
        return found

    def rainfall(self, start: date, end: date, stations: Sequence[str] | None = None) -> dict[tuple[str, date], float]:
        """What fell, mm, of each station-day start..end of which that is known."""
        columns = (OBSERVATIONS.c.station, OBSERVATIONS.c.day, OBSERVATIONS.c.rainfall)
        query = _between(select(*columns), start, end, stations).where(OBSERVATIONS.c.rainfall.is_not(None))
        with self.engine.connect() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query)}

    def provenance(self, station: str, start: date | None, end: date | None) -> Mapping[date, RowMapping]:
        """Where each day's row came from: source, product, site, run_id, changed_at."""
        names = ("day", "source", "product", "site", "run_id", "changed_at")
        query = _between(select(*(OBSERVATIONS.c[name] for name in names)), start, end, [station])
        with self.engine.connect() as connection:
            return {row["day"]: row for row in connection.execute(query).mappings()}

    def flags(self, station: str, start: date | None, end: date | None) -> Sequence[Flag]:
        """What is suspect in a station's days start..end."""
        query = select(FLAGS).where(FLAGS.c.station == station).order_by(FLAGS.c.day, FLAGS.c.field, FLAGS.c.kind)
        if start is not None:
            query = query.where(FLAGS.c.day >= start)
        if end is not None:
            query = query.where(FLAGS.c.day <= end)
        with self.engine.connect() as connection:
            return [Flag(*row) for row in connection.execute(query)]

    def latest_days(self) -> dict[str, date]:
        """The newest day of every station that has any."""
        query = select(OBSERVATIONS.c.station, func.max(OBSERVATIONS.c.day)).group_by(OBSERVATIONS.c.station)
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def simulated(self) -> bool | None:
        """Whether the stored observations are simulated; None when there are none."""
        with self.engine.connect() as connection:
            source = connection.scalar(select(OBSERVATIONS.c.source).limit(1))
        return None if source is None else source == "demo"

    def state(self) -> tuple[Any, ...]:
        """Differs whenever what is stored may have changed."""
        with self.engine.connect() as connection:
            return (
                connection.scalar(select(func.max(FILES.c.at))),
                connection.scalar(select(func.max(QUARANTINE.c.decided_at))),
            )

    def revisions(self, station: str, day: date) -> Sequence[RowMapping]:
        """What changed in one station-day, oldest first."""
        key = (REVISIONS.c.station == station) & (REVISIONS.c.day == day)
        with self.engine.connect() as connection:
            return connection.execute(select(REVISIONS).where(key).order_by(REVISIONS.c.id)).mappings().all()

    def quality(self, start: date | None = None, end: date | None = None) -> list[dict[str, Any]]:
        """For each station its days, and for each field how many lack it, how many are flagged, and its newest day."""
        known = [func.count(OBSERVATIONS.c[name]).label(f"{name}_known") for name in NAMES]
        newest = [
            func.max(case((OBSERVATIONS.c[name].is_not(None), OBSERVATIONS.c.day))).label(f"{name}_latest")
            for name in NAMES
        ]
        days = func.count().label("days")
        query = _between(select(OBSERVATIONS.c.station, days, *known, *newest), start, end, None)
        flagged = select(FLAGS.c.station, FLAGS.c.field, func.count(FLAGS.c.day.distinct()))
        if start is not None:
            flagged = flagged.where(FLAGS.c.day >= start)
        if end is not None:
            flagged = flagged.where(FLAGS.c.day <= end)
        with self.engine.connect() as connection:
            suspect = {
                (row[0], row[1]): row[2] for row in connection.execute(flagged.group_by(FLAGS.c.station, FLAGS.c.field))
            }
            by_station = query.group_by(OBSERVATIONS.c.station).order_by(OBSERVATIONS.c.station)
            return [
                {
                    "station": row["station"],
                    "days": row["days"],
                    "fields": {
                        name: {
                            "missing": row["days"] - row[f"{name}_known"],
                            "flagged": suspect.get((row["station"], name), 0),
                            "latest": row[f"{name}_latest"],
                        }
                        for name in NAMES
                    },
                }
                for row in connection.execute(by_station).mappings()
            ]


def _flag(connection: Connection, review: Review, touched: Observations) -> None:
    """Judge anew every day whose flags may depend on a touched row."""
    back = timedelta(days=review.days_back)
    for name in np.unique(touched.station).tolist():
        days = touched.day[touched.station == name]
        first, last = days.min().item(), days.max().item() + back
        rows = _window(connection, first - back, last, [name])
        flags = [vars(flag) for flag in review(rows) if flag.day >= first]
        connection.execute(delete(FLAGS).where(FLAGS.c.station == name, FLAGS.c.day.between(first, last)))
        if flags:
            connection.execute(insert(FLAGS), flags)


def _window(
    connection: Connection, start: date | None, end: date | None, stations: Sequence[str] | None
) -> Observations:
    query = select(OBSERVATIONS.c.station, OBSERVATIONS.c.day, *(OBSERVATIONS.c[name] for name in NAMES))
    ordered = _between(query, start, end, stations).order_by(OBSERVATIONS.c.station, OBSERVATIONS.c.day)
    rows = connection.execute(ordered).all()
    if not rows:
        return Observations.empty()
    names, days, *columns = zip(*rows, strict=True)
    return from_items(names, days, columns)


def _between(query: Select[Any], start: date | None, end: date | None, stations: Sequence[str] | None) -> Select[Any]:
    if start is not None:
        query = query.where(OBSERVATIONS.c.day >= start)
    if end is not None:
        query = query.where(OBSERVATIONS.c.day <= end)
    if stations is not None:
        query = query.where(OBSERVATIONS.c.station.in_(stations))
    return query
