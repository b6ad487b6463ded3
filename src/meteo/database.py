"""Engines for SQLite and PostgreSQL that behave alike where it matters to us."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine, TypeDecorator, create_engine, event, make_url, text

from meteo.errors import Conflict


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, kept as UTC; SQLite, which has no zones, gives it back aware as well."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def connect(url: str) -> Engine:
    """An engine for `url`.

    SQLite runs in WAL mode, so that readers never wait for a writer, takes its write lock when a transaction begins
    (a lock upgrade half-way cannot be waited for), and waits up to 30 s for another writer.
    """
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return create_engine(address, pool_pre_ping=True)
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class Changes:
    """Whether anybody has committed to a SQLite database since, told in two microseconds."""

    def __init__(self, engine: Engine) -> None:
        self._path = engine.url.database if engine.dialect.name == "sqlite" else None
        self._connection: sqlite3.Connection | None = None

    def state(self) -> int | None:
        """A number that another commit changes; None for a database that offers no such thing."""
        if self._path is None:
            return None
        if self._connection is None:  # of its own: a connection is not told of its own commits
            self._connection = sqlite3.connect(self._path, check_same_thread=False)
        found: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return found


def writing(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction that will write: commits at the end, rolls back on an exception."""
    return engine.execution_options(writes=True).begin()


@contextmanager
def only_one(engine: Engine, work: str) -> Iterator[None]:
    """Hold the database's one turn at `work`; Conflict when another process has it.

    The turn ends with the process that holds it, however it dies: a lock on a file beside a SQLite database, an
    advisory lock of a PostgreSQL session.
    """
    refusal = Conflict(f"another {work} is at work on this database; wait until it has finished")
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.{work}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise refusal from None
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"work": f"rain-tomorrow {work}"}
        if not connection.scalar(text("SELECT pg_try_advisory_lock(hashtext(:work))"), key):
            raise refusal
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(hashtext(:work))"), key)
