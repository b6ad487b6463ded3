"""Every answered prediction, in SQL: written before the answer leaves, read back with what then fell."""

import asyncio
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select

from meteo.errors import Unavailable
from meteo.forecasts.tables import PREDICTIONS, SCHEMA

SMOKE_TEST = "smoke-test"
"""The subject of what is asked to try the service; it is nobody's forecast."""

_AT_ONCE = 2000
"""A large batch is written in parts, so that single predictions need not wait for all of it."""


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


Done = Callable[[Exception | None], object]


class PredictionLog:
    """Appends by group commit: one writer thread puts all that wait into one transaction.

    SQLite runs in WAL mode here: what is committed survives the death of the process.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._connection: Connection | None = None
        self._waiting: queue.SimpleQueue[tuple[Sequence[Record], Done] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="prediction-log", daemon=True)

    def create(self) -> None:
        """Bring the table to its newest form."""
        SCHEMA.upgrade(self.engine)

    def start(self) -> None:
        """Begin to write."""
        self.create()
        self._writer.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._waiting.put(None)
        self._writer.join()

    def put(self, records: Sequence[Record], done: Done) -> None:
        """Have `done` called in the writer's thread once `records` are committed, with Unavailable if they could not
        be."""
        self._waiting.put((records, done))

    def waiting(self) -> int:
        """How many groups of answers wait for the writer."""
        return self._waiting.qsize()

    async def append(self, records: Sequence[Record]) -> None:
        """Return once all are committed; Unavailable when they could not be."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(records), _AT_ONCE):
            written: asyncio.Future[None] = loop.create_future()
            self.put(records[start : start + _AT_ONCE], _telling(loop, written))
            await written

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
        self._disconnect()

    def _commit(self, group: Sequence[tuple[Sequence[Record], Done]]) -> None:
        failure: Exception | None = None
        try:
            if self._connection is None:
                self._connection = self.engine.connect().execution_options(writes=True)
            with self._connection.begin():
                rows = [vars(record) for records, _ in group for record in records]
                self._connection.execute(insert(PREDICTIONS), rows)
        except Exception as error:
            self._disconnect()
            failure = Unavailable("the prediction could not be recorded, so it is not given")
            failure.__cause__ = error
        for _, done in group:
            done(failure)

    def _disconnect(self) -> None:
        """Let the connection go; the next commit makes a fresh one."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None


def new_id() -> str:
    """A prediction's id: 12 hexadecimal digits of the time in milliseconds, 20 at random. Ids that grow keep what is
    written together close together in the table."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def records(
    engine: Engine,
    start: date | None = None,
    end: date | None = None,
    *,
    subject: str | None = None,
    station: str | None = None,
    newest: int | None = None,
) -> list[Record]:
    """What was predicted from the days start..end, oldest first; for one person or station where they are given. With
    `newest` only so many, the newest first."""
    order = PREDICTIONS.c.made_at if newest is None else PREDICTIONS.c.made_at.desc()
    query = select(PREDICTIONS).order_by(order).limit(newest)
    if start is not None:
        query = query.where(PREDICTIONS.c.day >= start)
    if end is not None:
        query = query.where(PREDICTIONS.c.day <= end)
    if subject is not None:
        query = query.where(PREDICTIONS.c.subject == subject)
    if station is not None:
        query = query.where(PREDICTIONS.c.station == station)
    with engine.connect() as connection:
        return [Record(**row) for row in connection.execute(query).mappings()]


def newest_inputs(engine: Engine, start: date, end: date) -> list[Record]:
    """What was asked last of each station-day start..end, but for the smoke test's questions."""
    by_age = func.row_number().over(
        partition_by=(PREDICTIONS.c.station, PREDICTIONS.c.day), order_by=PREDICTIONS.c.made_at.desc()
    )
    ranked = (
        select(PREDICTIONS, by_age.label("age"))
        .where(PREDICTIONS.c.day.between(start, end), PREDICTIONS.c.subject != SMOKE_TEST)
        .subquery()
    )
    query = select(*(ranked.c[column.name] for column in PREDICTIONS.columns)).where(ranked.c.age == 1)
    with engine.connect() as connection:
        return [Record(**row) for row in connection.execute(query).mappings()]


def _telling(loop: asyncio.AbstractEventLoop, written: "asyncio.Future[None]") -> Done:
    return lambda failure: loop.call_soon_threadsafe(_settle, written, failure)


def _settle(done: "asyncio.Future[None]", failure: Exception | None) -> None:
    if done.cancelled():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
