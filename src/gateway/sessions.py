"""Sessions: a login lives until logout, expiry, or the second use of a spent refresh token."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, insert, select, update

from gateway.api_keys import MARK, Keys
from gateway.devices import Devices
from gateway.tables import SESSIONS, USERS
from gateway.tokens import REFUSAL, AccessTokens
from gateway.users import ProvenUser, User
from meteo.errors import NotAuthenticated
from meteo.runtime.database import CommitCounter, writing
from meteo.runtime.threads import Threads

_MOST_KNOWN = 10_000
READERS = 4


@dataclass(frozen=True)
class Pair:
    """What a login or refresh gives; `expires_in` is the access token's life in seconds."""

    username: str
    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True)
class Current:
    """The user behind a request, as the database has them now, and the session that proves it; None for an API key."""

    user: User
    session: str | None


@dataclass(frozen=True)
class Login:
    """The user behind a request that bears an access token, and the session that the token is of."""

    user: User
    session: str


class SpentToken(NotAuthenticated):
    """A refresh token came a second time: somebody else may hold it, so its session is over."""

    def __init__(self, username: str) -> None:
        super().__init__("the refresh token is not valid")
        self.username = username


class Sessions:
    def __init__(self, engine: Engine, tokens: AccessTokens, refresh_days: int) -> None:
        self._engine = engine
        self._tokens = tokens
        self._keys = Keys(engine)
        self._devices = Devices(tokens.derived("devices"))
        self._refresh_seconds = refresh_days * 86_400
        self._changes = CommitCounter(engine)
        self._known: dict[str, tuple[int, float, Current]] = {}
        self._readers = Threads(READERS, "sessions")  # who writes may wait long for another writer

    def open(self, user: ProvenUser) -> tuple[Pair, str]:
        """Begin a session; its tokens, and the one by which the device is known at the next login. NotAuthenticated
        where the password has changed since it was proven."""
        session, secret = secrets.token_hex(16), secrets.token_urlsafe(32)
        present = select(USERS.c.password_hash).where(USERS.c.username == user.username, USERS.c.enabled)
        with writing(self._engine) as connection:
            if connection.scalar(present.with_for_update(read=True)) != user.password_hash:
                raise NotAuthenticated("the user name or the password is wrong")
            connection.execute(
                insert(SESSIONS).values(
                    id=session,
                    username=user.username,
                    refresh_digest=_digest(secret),
                    created_at=datetime.now(UTC),
                    expires_at=int(time.time()) + self._refresh_seconds,
                    revoked=False,
                )
            )
        device = self._devices.issue(user.username, user.password_hash, session)
        return self._pair(user.username, session, secret), device

    def of_device(self, device: str, username: str) -> str | None:
        """The session that `username` has opened on the device of this token; None for an unknown one."""
        query = select(USERS.c.password_hash).where(USERS.c.username == username)
        with self._engine.connect() as connection:
            password_hash = connection.scalar(query)
        return self._devices.session(device, username, password_hash or "")

    def refresh(self, refresh_token: str) -> Pair:
        """A new pair for an unspent refresh token, which is spent by this; of two at once exactly one wins."""
        session, _, secret = refresh_token.partition(".")
        fresh = secrets.token_urlsafe(32)
        with writing(self._engine) as connection:
            row = connection.execute(
                select(SESSIONS, USERS.c.enabled)
                .join(USERS)
                .where(SESSIONS.c.id == session)
                .with_for_update(of=SESSIONS)
            ).first()
            if row is None or row.revoked or not row.enabled or row.expires_at <= time.time():
                raise NotAuthenticated("the refresh token is not valid")
            spent = not secrets.compare_digest(row.refresh_digest, _digest(secret))
            change = {"revoked": True} if spent else {"refresh_digest": _digest(fresh)}
            connection.execute(update(SESSIONS).where(SESSIONS.c.id == session).values(change))
        if spent:
            raise SpentToken(row.username)
        return self._pair(row.username, session, fresh)

    async def current(self, authorization: str | None) -> Current:
        """Who asks, from an `Authorization: Bearer` header; NotAuthenticated unless session and user are good now.

        What was found is known until it ends or anything is committed to the database, by whomever; a database that
        does not tell of commits is asked each time.
        """
        given = authorization or ""
        state = self._changes.state()
        known = self._known.get(given)
        if known and known[0] == state and time.time() < known[1]:
            return known[2]
        current, until = await asyncio.get_running_loop().run_in_executor(self._readers, self._look_up, given)
        if state is not None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[given] = (state, until, current)
        return current

    def _look_up(self, authorization: str) -> tuple[Current, float]:
        """Who asks, and until when that holds if nothing changes."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated(REFUSAL)
        if token.startswith(MARK):
            owner, expires_at = self._keys.owner(token)
            return Current(owner, None), expires_at.timestamp()
        claims = self._tokens.read(token)
        query = (
            select(USERS.c.username, USERS.c.role, USERS.c.enabled, USERS.c.must_change, SESSIONS.c.expires_at)
            .join(SESSIONS)
            .where(SESSIONS.c.id == claims.session, SESSIONS.c.username == claims.username)
            .where(SESSIONS.c.revoked.is_(False), SESSIONS.c.expires_at > int(time.time()), USERS.c.enabled)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotAuthenticated(REFUSAL)
        return Current(User(*row[:4]), claims.session), min(claims.until, row.expires_at)

    def revoke(self, session: str) -> None:
        """End a session; its tokens are dead at once."""
        with writing(self._engine) as connection:
            connection.execute(update(SESSIONS).where(SESSIONS.c.id == session).values(revoked=True))

    def _pair(self, username: str, session: str, secret: str) -> Pair:
        access = self._tokens.issue(username, session)
        return Pair(username, access, f"{session}.{secret}", self._tokens.seconds)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
