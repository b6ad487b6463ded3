"""Engines for SQLite and PostgreSQL that behave alike where it matters to us."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, DateTime, Dialect, Engine, TypeDecorator, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError

from meteo.errors import Conflict


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, kept as UTC; SQLite, which has no zones, gives it back aware as well."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


@dataclass(frozen=True)
class Waits:
    """For how many seconds a statement may run, and how long one waits for what another holds: a lock, SQLite's turn to
    write, a connection of the pool."""

    statement: float
    lock: float


JOB = Waits(statement=600, lock=30)
SERVICE = Waits(statement=4, lock=2)


def connect(url: str | URL, waits: Waits = JOB) -> Engine:
    """An engine for `url` on which nothing waits for longer than `waits`, whatever becomes of the server.

    SQLite runs in WAL mode, so that readers never wait for a writer, and takes its write lock when a transaction begins
    (a lock upgrade half-way cannot be waited for).
    """
    address = make_url(url)
    pool: dict[str, Any] = {"pool_timeout": waits.lock, "max_overflow": 15}
    if address.get_backend_name() != "sqlite":
        return _postgresql(address, waits, pool)
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(address, connect_args={"timeout": waits.lock}, **pool)

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


@contextmanager
def connected(url: str | URL) -> Iterator[Engine]:
    """An engine whose connections are closed afterwards."""
    engine = connect(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _postgresql(address: URL, waits: Waits, pool: dict[str, Any]) -> Engine:
    from meteo.runtime import postgresql  # its driver is not where only SQLite is used

    given = address.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    limits = postgresql.parameters(waits.statement, waits.lock, options)
    engine = create_engine(address, pool_pre_ping=True, connect_args=limits, **pool)

    @event.listens_for(engine, "do_connect")
    def _connect(_: Dialect, __: Any, arguments: list[Any], parameters: dict[str, Any]) -> Any:
        return postgresql.open_connection(waits.statement + 1, *arguments, **parameters)

    return engine


class CommitCounter:
    """Whether anybody has committed to a SQLite database since, told in two microseconds."""

    def __init__(self, engine: Engine) -> None:
        self._path = engine.url.database if engine.dialect.name == "sqlite" else None
        self._connection: sqlite3.Connection | None = None

    def state(self) -> int | None:
        """A number that another commit changes; None for a database that offers no such thing."""
        if self._path is None:
            return None
        if self._connection is None:  # of its own: a connection is not told of its own commits
            self._connection = sqlite3.connect(self._path, timeout=0.1, check_same_thread=False)
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that will write: commits at the end, rolls back on an exception.

    With the engine of a `Turn` Conflict, and nothing is committed, where the turn was lost meanwhile.
    """
    with engine.execution_options(writes=True).begin() as connection:
        yield connection
        if (turn := engine.get_execution_options().get("turn")) is not None:
            turn.check(connection)


class Turn:
    """The one turn at `work` on a database, and the engine by which its work is written."""

    def __init__(self, engine: Engine, work: str, session: int | None = None) -> None:
        self._work = {"work": f"rain-tomorrow {work}", "commits": f"rain-tomorrow {work} commits", "session": session}
        self._lost = Conflict(f"this {work} lost its lock, and another may be at work: nothing more of it is stored")
        self.engine = engine if session is None else engine.execution_options(turn=self)

    def check(self, connection: Connection) -> None:
        """Conflict where the session that holds the lock is gone; else nobody gets the turn before this transaction has
        ended."""
        connection.execute(text("SELECT pg_advisory_xact_lock_shared(hashtext(:commits))"), self._work)
        if not connection.scalar(_HELD, self._work):
            raise self._lost

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Do something that is no transaction, such as a call, during which nobody else gets the turn."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                self.check(connection)
            yield


_HELD = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
        WHERE locktype = 'advisory' AND datname = current_database() AND pid = :session AND granted
        AND objid = hashtext(:work)::oid AND objsubid = 1
    )
""")


@contextmanager
def only_one(engine: Engine, work: str) -> Iterator[Turn]:
    """Hold the database's one turn at `work`; Conflict when another process has it.

    The turn ends with the process that holds it, however it dies: a lock on a file beside a SQLite database, an
    advisory lock of a PostgreSQL session. That session can end before the process does; what is written by the turn's
    engine is therefore committed only while the lock is held.
    """
    refusal = Conflict(f"another {work} is at work on this database; wait until it has finished")
    if engine.dialect.name == "sqlite":
        with Path(f"{engine.url.database}.{work}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise refusal from None
            yield Turn(engine, work)
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"work": f"rain-tomorrow {work}", "commits": f"rain-tomorrow {work} commits"}
        if not connection.scalar(text("SELECT pg_try_advisory_lock(hashtext(:work))"), key):
            raise refusal
        try:
            # one that lost its turn may be about to commit
            if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext(:commits))"), key):
                raise refusal
            yield Turn(engine, work, connection.scalar(text("SELECT pg_backend_pid()")))
        finally:
            with suppress(DBAPIError):  # the session is gone, and the lock with it
                connection.execute(text("SELECT pg_advisory_unlock(hashtext(:work))"), key)
