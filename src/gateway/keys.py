"""API keys for programs: each acts as its owner; of the key itself only a hash is kept."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, delete, func, insert, select

from gateway.tables import API_KEYS, USERS
from gateway.users import User
from meteo.database import writing
from meteo.errors import Conflict, NotAuthenticated, NotFound

MARK = "rtk_"
"""Every key begins so: scanners of repositories and logs can know one when they see it."""
MOST = 20


@dataclass(frozen=True)
class Key:
    """What may be shown of a key."""

    prefix: str
    label: str
    created_at: datetime


class Keys:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create(self, username: str, label: str) -> tuple[Key, str]:
        """A new key of `username` and its text, which is never to be had again; Conflict when there are too many."""
        prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = Key(prefix, label, datetime.now(UTC))
        with writing(self._engine) as connection:
            mine = select(func.count()).select_from(API_KEYS).where(API_KEYS.c.username == username)
            if (connection.scalar(mine) or 0) >= MOST:
                raise Conflict(f"there are {MOST} keys already; revoke one first")
            row = {"prefix": prefix, "username": username, "digest": _digest(secret), "label": label}
            connection.execute(insert(API_KEYS).values({**row, "created_at": key.created_at}))
        return key, f"{MARK}{prefix}_{secret}"

    def of(self, username: str) -> list[Key]:
        """A person's keys, newest first."""
        query = select(API_KEYS).where(API_KEYS.c.username == username).order_by(API_KEYS.c.created_at.desc())
        with self._engine.connect() as connection:
            return [Key(row.prefix, row.label, row.created_at) for row in connection.execute(query)]

    def revoke(self, username: str, prefix: str) -> None:
        """End a key at once; NotFound when the person has none of that prefix."""
        mine = (API_KEYS.c.username == username) & (API_KEYS.c.prefix == prefix)
        with writing(self._engine) as connection:
            if not connection.execute(delete(API_KEYS).where(mine)).rowcount:
                raise NotFound(f"you have no key {prefix}")

    def owner(self, key: str, refusal: str) -> User:
        """The enabled user whose key it is; NotAuthenticated with `refusal` for anything else."""
        prefix, _, secret = key.removeprefix(MARK).partition("_")
        query = (
            select(API_KEYS.c.digest, USERS.c.username, USERS.c.role, USERS.c.enabled, USERS.c.must_change)
            .join(USERS)
            .where(API_KEYS.c.prefix == prefix, USERS.c.enabled)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None or not secrets.compare_digest(row.digest, _digest(secret)):
            raise NotAuthenticated(refusal)
        return User(row.username, row.role, row.enabled, row.must_change)


def _digest(secret: str) -> str:
    """A fast hash is enough: the secret is 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
