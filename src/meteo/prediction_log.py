"""Every answered prediction, in SQL: written before the answer leaves, read back with what then fell."""

import asyncio
import queue
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Engine,
    Float,
    Index,
    MetaData,
    String,
    Table,
    insert,
    select,
)

from meteo.database import UtcDateTime, writing
from meteo.errors import Unavailable
from meteo.migrate import Schema

METADATA = MetaData()
_AT_ONCE = 2000
"""A large batch is written in parts, so that single predictions need not wait for all of it."""

PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("prediction_id", String(32), primary_key=True),
    Column("made_at", UtcDateTime, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("station", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("observation", JSON, nullable=False),
    Column("probability", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("rain_tomorrow", Boolean, nullable=False),
    Column("model_version", String(16), nullable=False),
    Index("predictions_subject", "subject", "made_at"),
    Index("predictions_day", "day"),
)
SCHEMA = Schema("predictions", METADATA, "meteo")


@dataclass(frozen=True)
class Record:
    """One answered prediction."""

    prediction_id: str
    made_at: datetime
    request_id: str
    subject: str
    station: str
    day: date
    observation: Mapping[str, Any]
    probability: float
    threshold: float
    rain_tomorrow: bool
    model_version: str


class PredictionLog:
    """Appends by group commit: one writer thread puts all that wait into one transaction.

    SQLite runs in WAL mode here: what is committed survives the death of the process.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: queue.SimpleQueue[tuple[Sequence[Record], asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="prediction-log", daemon=True)

    def create(self) -> None:
        """Bring the table to its newest form."""
        SCHEMA.upgrade(self._engine)

    def start(self) -> None:
        """Begin to write."""
        self.create()
        self._writer.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._waiting.put(None)
        self._writer.join()

    async def append(self, records: Sequence[Record]) -> None:
        """Return once all are committed; Unavailable when they could not be."""
        for start in range(0, len(records), _AT_ONCE):
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.put((records[start : start + _AT_ONCE], done))
            await done

    def _write(self) -> None:
        running = True
        while running:
            batch = [self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get())
            running = None not in batch
            group = [entry for entry in batch if entry is not None]
            if group:
                self._commit(group)

    def _commit(self, group: Sequence[tuple[Sequence[Record], "asyncio.Future[None]"]]) -> None:
        failure: Exception | None = None
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(PREDICTIONS), [vars(record) for records, _ in group for record in records])
        except Exception as error:
            failure = Unavailable("the prediction could not be recorded, so it is not given")
            failure.__cause__ = error
        for _, done in group:
            done.get_loop().call_soon_threadsafe(_settle, done, failure)


def new_id() -> str:
    """A prediction's id: 12 hexadecimal digits of the time in milliseconds, 20 at random. Ids that grow keep what is
    written together close together in the table."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def records(engine: Engine, start: date | None = None, end: date | None = None) -> list[Record]:
    """What was predicted from the days start..end, oldest first."""
    query = select(PREDICTIONS).order_by(PREDICTIONS.c.made_at)
    if start is not None:
        query = query.where(PREDICTIONS.c.day >= start)
    if end is not None:
        query = query.where(PREDICTIONS.c.day <= end)
    with engine.connect() as connection:
        return [Record(**row) for row in connection.execute(query).mappings()]


def _settle(done: "asyncio.Future[None]", failure: Exception | None) -> None:
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
