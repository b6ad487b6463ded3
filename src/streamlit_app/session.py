"""Console sessions: the browser holds an opaque id in a cookie, the tokens stay here.

Kept in SQL, so that a restart of the console logs nobody out. The database alone lets nobody in: the id is stored
hashed, and the tokens are encrypted with a key that is made of the id.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from weakref import WeakValueDictionary

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import (
    Column,
    Engine,
    Float,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    inspect,
    select,
    update,
)

from meteo.errors import MeteoError, NotAuthenticated
from meteo.runtime.database import writing
from meteo.runtime.logs import logger
from streamlit_app.client import Gateway, Tokens

COOKIE = "session"
METADATA = MetaData()
SESSIONS = Table(
    "console_logins",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("access_until", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)
_UNSEALED = "console_sessions"
"""Where versions before this one kept tokens that anybody could read."""

_EARLY_SECONDS = 30
"""An access token is renewed this long before it runs out."""


@dataclass(frozen=True)
class Identity:
    """Who is at the browser, as the gateway says now, and the token to act for them."""

    username: str
    role: str
    access: str
    must_change: bool = False


class ConsoleSessions:
    def __init__(self, engine: Engine, gateway: Gateway, idle_minutes: int) -> None:
        self._engine = engine
        self._gateway = gateway
        self._idle_seconds = idle_minutes * 60
        self._guard = threading.Lock()
        self._turns: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        METADATA.create_all(engine)
        if inspect(engine).has_table(_UNSEALED):
            _erase(engine, _UNSEALED)

    def open(self, tokens: Tokens) -> str:
        """Begin a session; the id for the cookie."""
        session = secrets.token_urlsafe(32)
        now = time.time()
        with writing(self._engine) as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.seen_at < now - self._idle_seconds))
            row = {"digest": _digest(session), "seen_at": now, **_columns(session, tokens)}
            connection.execute(insert(SESSIONS).values(row))
        return session

    def known(self, session: str | None) -> bool:
        """Whether the cookie's session is open here; touches it. The gateway still decides what it may do."""
        if not session:
            return False
        now = time.time()
        with writing(self._engine) as connection:
            touched = connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.digest == _digest(session), SESSIONS.c.seen_at >= now - self._idle_seconds)
                .values(seen_at=now)
            )
        return touched.rowcount == 1

    def count(self) -> int:
        """How many sessions are open."""
        alive = SESSIONS.c.seen_at >= time.time() - self._idle_seconds
        with self._engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(SESSIONS).where(alive)) or 0

    def identify(self, session: str | None) -> Identity:
        """Who is behind the cookie; NotAuthenticated when nobody is (any more), and the session is closed then."""
        try:
            access = self._access(session)
            who = self._gateway.me(access)
        except NotAuthenticated:
            self._forget(session)
            raise
        return Identity(who["username"], who["role"], access, who["must_change_password"])

    def close(self, session: str | None) -> None:
        """End the session here and at the gateway; when the gateway is away its tokens still run out by themselves."""
        try:
            self._gateway.log_out(self._access(session))
        finally:
            self._forget(session)

    def _access(self, session: str | None) -> str:
        """An access token with life left in it, renewed if need be: by one of the session's tabs, since a refresh token
        is good for once, and without any other session waiting for it."""
        if access := self._fresh(session):
            return access
        with self._guard:
            turn = self._turns.setdefault(_digest(session or ""), threading.Lock())
        with turn:
            return self._fresh(session) or self._renew(session or "")

    def _fresh(self, session: str | None) -> str | None:
        """The access token, unless it is about to run out; NotAuthenticated without a session."""
        tokens, until = self._kept(session)
        return tokens.access if until - _EARLY_SECONDS > time.time() else None

    def _renew(self, session: str) -> str:
        tokens = self._gateway.refresh(self._kept(session)[0].refresh)
        with writing(self._engine) as connection:
            mine = SESSIONS.c.digest == _digest(session)
            connection.execute(update(SESSIONS).where(mine).values(**_columns(session, tokens)))
        return tokens.access

    def _kept(self, session: str | None) -> tuple[Tokens, float]:
        """The session's tokens, and until when its access token lives."""
        known = (SESSIONS.c.digest == _digest(session or "")) & (SESSIONS.c.seen_at >= time.time() - self._idle_seconds)
        with self._engine.connect() as connection:
            row = connection.execute(select(SESSIONS.c.sealed, SESSIONS.c.access_until).where(known)).first()
        try:
            if session and row:
                return Tokens(**json.loads(_box(session).decrypt(row.sealed))), row.access_until
        except InvalidToken:
            logger().warning("the tokens of a console session are not those that were kept")
        raise NotAuthenticated("you are not logged in")

    def _forget(self, session: str | None) -> None:
        with writing(self._engine) as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == _digest(session or "")))


def try_close(sessions: ConsoleSessions, session: str | None) -> str | None:
    """Close, and say what went wrong at the gateway, if anything."""
    try:
        sessions.close(session)
    except NotAuthenticated:
        return None
    except MeteoError as error:
        return error.detail
    return None


def _columns(session: str, tokens: Tokens) -> dict[str, str | float]:
    sealed = _box(session).encrypt(json.dumps(asdict(tokens)).encode()).decode()
    return {"sealed": sealed, "access_until": time.time() + tokens.expires_in}


def _box(session: str) -> Fernet:
    """What encrypts a session's tokens; its key cannot be had from the digest, which the database knows."""
    return Fernet(base64.urlsafe_b64encode(hmac.digest(session.encode(), b"tokens of a console session", "sha256")))


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


def _erase(engine: Engine, table: str) -> None:
    """Drop a table of a SQLite database, and leave nothing of it in the file or its log."""
    connection = engine.raw_connection()
    try:
        for statement in (f"DROP TABLE {table}", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            connection.cursor().execute(statement)
    finally:
        connection.close()
