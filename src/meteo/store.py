"""Observations in SQL: the same on SQLite and PostgreSQL.

One row per (station, day). An upsert changes only what is new: a blank never overwrites a value, an unchanged row is
not touched, and every changed value leaves a revision (old, new, when, which run).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Date,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)

from meteo.database import UtcDateTime, writing
from meteo.errors import MixedSources
from meteo.observation import FIELDS, NAMES, Observations, compass_name, compass_sector

METADATA = MetaData()

OBSERVATIONS = Table(
    "observations",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("day", Date, primary_key=True),
    *(Column(field.name, String(3) if field.compass else Float) for field in FIELDS),
    Column("source", String(8), nullable=False),
    Column("product", String(16), nullable=False, doc="BOM product the row came from, or weatherAUS"),
    Column("run_id", Integer, nullable=False, doc="the ingestion that last changed the row"),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("observations_day", "day"),
)
REVISIONS = Table(
    "revisions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("station", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("field", String(20), nullable=False),
    Column("old", String(12)),
    Column("new", String(12), nullable=False),
    Column("run_id", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("revisions_key", "station", "day"),
)
INGESTIONS = Table(
    "ingestions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("source", String(8), nullable=False),
    Column("request", JSON, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("state", String(8), nullable=False),
    *(Column(name, Integer, nullable=False, default=0)
      for name in ("files", "bytes", "new", "changed", "unchanged", "quarantined")),
    Column("problems", JSON, nullable=False),
)  # fmt: skip
QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, nullable=False, index=True),
    Column("file", String(200), nullable=False),
    Column("station", String(32), nullable=False),
    Column("day", Date),
    Column("reason", String(400), nullable=False),
    Column("row", JSON, nullable=False),
    Column("released", Boolean, nullable=False, default=False),
)

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Changes:
    """How many rows an upsert found new, changed and unchanged."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(self.new + other.new, self.changed + other.changed, self.unchanged + other.unchanged)


@dataclass(frozen=True)
class Quarantined:
    """A row that was refused: where it stood, why, and the row as it was read."""

    station: str
    day: date | None
    reason: str
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """Rows of one file that passed the checks, and those that did not."""

    observations: Observations
    product: str
    quarantined: Sequence[Quarantined] = ()


class ObservationStore:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def create(self) -> None:
        """Make the tables that are missing."""
        METADATA.create_all(self.engine)

    def start_run(self, source: str, request: Mapping[str, Any]) -> int:
        """Record that an ingestion began; its id."""
        with writing(self.engine) as connection:
            self._refuse_mixture(connection, source)
            record = insert(INGESTIONS).values(
                source=source, request=dict(request), started_at=datetime.now(UTC), state="running", problems=[]
            )
            return int(connection.execute(record).inserted_primary_key[0])  # type: ignore[index]

    def finish_run(self, run_id: int, state: str, *, files: int, size: int, problems: Sequence[str]) -> None:
        """Record how an ingestion ended; its row counts were added by `upsert`."""
        with writing(self.engine) as connection:
            connection.execute(
                update(INGESTIONS)
                .where(INGESTIONS.c.id == run_id)
                .values(state=state, files=files, bytes=size, problems=list(problems), finished_at=datetime.now(UTC))
            )

    def upsert(self, run_id: int, source: str, file: str, batches: Iterable[Batch]) -> tuple[Changes, int]:
        """Store one file's rows in one transaction; what changed, and how many rows were quarantined."""
        total, refused = Changes(), 0
        with writing(self.engine) as connection:
            for batch in batches:
                total += _merge(connection, batch, run_id, source)
                refused += len(batch.quarantined)
                if batch.quarantined:
                    connection.execute(
                        insert(QUARANTINE), [_quarantine_row(q, run_id, file) for q in batch.quarantined]
                    )
            counts = {**vars(total), "quarantined": refused}
            connection.execute(
                update(INGESTIONS)
                .where(INGESTIONS.c.id == run_id)
                .values({name: INGESTIONS.c[name] + count for name, count in counts.items()})
            )
        return total, refused

    def window(
        self, start: date | None = None, end: date | None = None, stations: Sequence[str] | None = None
    ) -> Observations:
        """Rows of the days start..end (both included), ordered by station and day."""
        query = select(OBSERVATIONS.c.station, OBSERVATIONS.c.day, *(OBSERVATIONS.c[name] for name in NAMES))
        if start is not None:
            query = query.where(OBSERVATIONS.c.day >= start)
        if end is not None:
            query = query.where(OBSERVATIONS.c.day <= end)
        if stations is not None:
            query = query.where(OBSERVATIONS.c.station.in_(stations))
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(OBSERVATIONS.c.station, OBSERVATIONS.c.day)).all()
        return _observations([tuple(row) for row in rows])

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

    def runs(self, limit: int) -> Sequence[RowMapping]:
        """Ingestions, newest first."""
        with self.engine.connect() as connection:
            return connection.execute(select(INGESTIONS).order_by(INGESTIONS.c.id.desc()).limit(limit)).mappings().all()

    def quarantine(self, run_id: int) -> Sequence[RowMapping]:
        """The refused rows of one ingestion."""
        query = select(QUARANTINE).where(QUARANTINE.c.run_id == run_id).order_by(QUARANTINE.c.id)
        with self.engine.connect() as connection:
            return connection.execute(query).mappings().all()

    def revisions(self, station: str, day: date) -> Sequence[RowMapping]:
        """What changed in one station-day, oldest first."""
        key = (REVISIONS.c.station == station) & (REVISIONS.c.day == day)
        with self.engine.connect() as connection:
            return connection.execute(select(REVISIONS).where(key).order_by(REVISIONS.c.id)).mappings().all()

    @staticmethod
    def _refuse_mixture(connection: Connection, source: str) -> None:
        stored = connection.scalar(select(OBSERVATIONS.c.source).limit(1))
        if stored is not None and (stored == "demo") != (source == "demo"):
            raise MixedSources(
                f"the store holds observations from source {stored!r}: simulated and real ones never share a store. "
                "Use another METEO_HOME (or database) for this source."
            )


def _merge(connection: Connection, batch: Batch, run_id: int, source: str) -> Changes:
    incoming = batch.observations
    if not len(incoming):
        return Changes()
    stored = _stored(connection, incoming)
    days: list[date] = incoming.day.astype(object).tolist()
    keys = list(zip(incoming.station.tolist(), days, strict=True))
    known = np.array([key in stored for key in keys])
    old = np.array([stored[key] for key in keys if key in stored]).reshape(-1, len(FIELDS))
    given = incoming.values[known]
    merged = np.where(np.isnan(given), old, given)
    differs = ~((merged == old) | (np.isnan(merged) & np.isnan(old)))
    touched = differs.any(axis=1)
    provenance = {
        "source": source, "product": batch.product, "run_id": run_id, "changed_at": datetime.now(UTC)
    }  # fmt: skip

    if not known.all():
        fresh = np.flatnonzero(~known)
        connection.execute(
            insert(OBSERVATIONS),
            [{"station": keys[row][0], "day": keys[row][1], **fields, **provenance}
             for row, fields in zip(fresh, _sql_values(incoming.values[fresh]), strict=True)],
        )  # fmt: skip
    if touched.any():
        known_keys = [key for key, is_known in zip(keys, known, strict=True) if is_known]
        rows = np.flatnonzero(touched)
        key_is = (OBSERVATIONS.c.station == bindparam("_station")) & (OBSERVATIONS.c.day == bindparam("_day"))
        connection.execute(
            update(OBSERVATIONS).where(key_is),
            [{"_station": known_keys[row][0], "_day": known_keys[row][1], **fields, **provenance}
             for row, fields in zip(rows, _sql_values(merged[rows]), strict=True)],
        )  # fmt: skip
        connection.execute(
            insert(REVISIONS),
            [
                {
                    "station": known_keys[row][0],
                    "day": known_keys[row][1],
                    "field": NAMES[column],
                    "old": _text(column, old[row, column]),
                    "new": _text(column, merged[row, column]),
                    "run_id": run_id,
                    "changed_at": provenance["changed_at"],
                }
                for row, column in np.argwhere(differs)
            ],
        )
    return Changes(int((~known).sum()), int(touched.sum()), int(known.sum() - touched.sum()))


def _stored(connection: Connection, incoming: Observations) -> dict[tuple[str, date], NDArray[np.float64]]:
    query = (
        select(OBSERVATIONS.c.station, OBSERVATIONS.c.day, *(OBSERVATIONS.c[name] for name in NAMES))
        .where(OBSERVATIONS.c.station.in_(np.unique(incoming.station).tolist()))
        .where(OBSERVATIONS.c.day.between(incoming.day.min().item(), incoming.day.max().item()))
    )
    rows = [tuple(row) for row in connection.execute(query)]
    values = _observations(rows).values
    return {(row[0], row[1]): values[index] for index, row in enumerate(rows)}


def _observations(rows: Sequence[Row]) -> Observations:
    if not rows:
        return Observations.empty()
    columns = list(zip(*rows, strict=True))
    values = np.empty((len(rows), len(FIELDS)))
    for index, field in enumerate(FIELDS):
        column: Iterable[Any] = columns[2 + index]
        if field.compass:
            column = [None if name is None else compass_sector(name) for name in column]
        values[:, index] = np.array(column, dtype=float)
    return Observations(np.array(columns[0]), np.array(columns[1], "datetime64[D]"), values)


def _sql_values(values: NDArray[np.float64]) -> list[dict[str, float | str | None]]:
    """Value rows as SQL parameters: NaN is NULL, a sector is its compass point."""
    columns: list[list[float | str | None]] = []
    for index, field in enumerate(FIELDS):
        column = values[:, index].tolist()
        if field.compass:
            columns.append([None if value != value else compass_name(value) for value in column])
        else:
            columns.append([None if value != value else value for value in column])
    return [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)]


def _text(column: int, value: float) -> str | None:
    if np.isnan(value):
        return None
    return compass_name(value) if FIELDS[column].compass else f"{value:g}"


def _quarantine_row(refused: Quarantined, run_id: int, file: str) -> dict[str, Any]:
    return {
        "run_id": run_id, "file": file[:200], "station": refused.station[:32], "day": refused.day,
        "reason": refused.reason[:400], "row": dict(refused.row),
    }  # fmt: skip
