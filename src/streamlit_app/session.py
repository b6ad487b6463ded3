"""Console sessions: the browser holds an opaque id in a cookie, the tokens stay here.

Kept in SQL, so that a restart of the console logs nobody out; the id is stored hashed.
"""

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Engine, Float, MetaData, Row, String, Table, delete, func, insert, select, update

from meteo.database import writing
from meteo.errors import MeteoError, NotAuthenticated
from streamlit_app.client import Gateway, Tokens

COOKIE = "session"
METADATA = MetaData()
SESSIONS = Table(
    "console_sessions",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("access", String(1000), nullable=False),
    Column("refresh", String(200), nullable=False),
    Column("access_until", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

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
        self._renewing = threading.Lock()
        METADATA.create_all(engine)

    def open(self, tokens: Tokens) -> str:
        """Begin a session; the id for the cookie."""
        session = secrets.token_urlsafe(32)
        now = time.time()
        with writing(self._engine) as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.seen_at < now - self._idle_seconds))
            connection.execute(insert(SESSIONS).values(digest=_digest(session), seen_at=now, **_columns(tokens)))
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
        """An access token with life left in it, renewed if need be."""
        with self._renewing:
            row = self._row(session)
            if row is None:
                raise NotAuthenticated("you are not logged in")
            if row.access_until - _EARLY_SECONDS > time.time():
                return str(row.access)
            tokens = self._gateway.refresh(row.refresh)
            with writing(self._engine) as connection:
                connection.execute(update(SESSIONS).where(SESSIONS.c.digest == row.digest).values(**_columns(tokens)))
            return tokens.access

    def _row(self, session: str | None) -> Row[Any] | None:
        if not session:
            return None
        fresh = SESSIONS.c.seen_at >= time.time() - self._idle_seconds
        with self._engine.connect() as connection:
            return connection.execute(select(SESSIONS).where(SESSIONS.c.digest == _digest(session), fresh)).first()

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


def _columns(tokens: Tokens) -> dict[str, str | float]:
    return {
        "access": tokens.access,
        "refresh": tokens.refresh,
        "access_until": time.time() + tokens.expires_in,
    }


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()
