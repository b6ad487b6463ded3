"""API keys for programs: each acts as its owner until it expires, is revoked, or the owner's password changes; of the
key itself only a hash is kept."""

import hashlib
import secrets
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Engine, delete, func, insert, select, true

from gateway.tables import API_KEYS, SESSIONS, USERS
from gateway.tokens import REFUSAL
from gateway.users import User
from meteo.errors import Conflict, NotAuthenticated, NotFound
from meteo.runtime.database import writing

MARK = "rtk_"
"""Every key begins so: scanners of repositories and logs can know one when they see it."""
MOST = 20
LONGEST_DAYS = 365


@dataclass(frozen=True)
class Key:
    """What may be shown of a key."""

    prefix: str
    username: str
    label: str
    created_at: datetime
    expires_at: datetime


class Keys:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, username: str, session: str, label: str, days: int) -> tuple[Key, str]:
        """A new key of `username` and its text, which is never to be had again; Conflict when there are too many.
        Those of theirs that have expired make room. NotAuthenticated where their `session` has ended meanwhile."""
        prefix, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), datetime.now(UTC)
        key = Key(prefix, username, label, now, now + timedelta(days=days))
        with writing(self._engine) as connection:
            connection.execute(select(USERS.c.username).where(USERS.c.username == username).with_for_update())
            alive = select(SESSIONS.c.id).where(SESSIONS.c.id == session, SESSIONS.c.revoked.is_(False))
            if connection.scalar(alive) is None:
                raise NotAuthenticated(REFUSAL)
            mine = API_KEYS.c.username == username
            connection.execute(delete(API_KEYS).where(mine, API_KEYS.c.expires_at <= now))
            if (connection.scalar(select(func.count()).select_from(API_KEYS).where(mine)) or 0) >= MOST:
                raise Conflict(f"there are {MOST} keys already; revoke one first")
            connection.execute(insert(API_KEYS).values(**asdict(key), digest=_digest(secret)))
        return key, f"{MARK}{prefix}_{secret}"

    def of(self, username: str) -> list[Key]:
        """A person's keys, newest first."""
        return self._read(API_KEYS.c.username == username)

    def all(self) -> list[Key]:
        """Everybody's keys, newest first."""
        return self._read(true())

    def revoke(self, prefix: str, username: str | None = None) -> str:
        """End a key at once, if it is of `username` where that is given; whose it was. NotFound when there is none."""
        theirs = true() if username is None else API_KEYS.c.username == username
        with writing(self._engine) as connection:
            query = delete(API_KEYS).where(API_KEYS.c.prefix == prefix, theirs).returning(API_KEYS.c.username)
            owner: str | None = connection.scalar(query)
        if owner is None:
            raise NotFound(f"there is no key {prefix}" if username is None else f"you have no key {prefix}")
        return owner

    def owner(self, key: str) -> tuple[User, datetime]:
        """The enabled user whose key it is, and when it expires; NotAuthenticated for anything else."""
        prefix, _, secret = key.removeprefix(MARK).partition("_")
        query = (
            select(
                API_KEYS.c.digest,
                API_KEYS.c.expires_at,
                USERS.c.username,
                USERS.c.role,
                USERS.c.enabled,
                USERS.c.must_change,
            )
            .join(USERS)
            .where(API_KEYS.c.prefix == prefix, API_KEYS.c.expires_at > datetime.now(UTC), USERS.c.enabled)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None or not secrets.compare_digest(row.digest, _digest(secret)):
            raise NotAuthenticated(REFUSAL)
        return User(row.username, row.role, row.enabled, row.must_change), row.expires_at

    def _read(self, condition: ColumnElement[bool]) -> list[Key]:
        columns = [API_KEYS.c[field.name] for field in fields(Key)]
        query = select(*columns).where(condition).order_by(API_KEYS.c.created_at.desc())
        with self._engine.connect() as connection:
            return [Key(*row) for row in connection.execute(query)]


def _digest(secret: str) -> str:
    """A fast hash is enough: the secret is 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
