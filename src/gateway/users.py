"""Who may enter: names, Argon2id hashes, roles."""

import asyncio
import json
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, true, update
from zxcvbn import zxcvbn

from gateway.tables import SCHEMA, SESSIONS, USERS
from meteo.database import writing
from meteo.errors import Conflict, InvalidInput, NotFound

Role = Literal["user", "admin"]
Result = TypeVar("Result")

LONG = 32
"""From this length on a password is taken in any script and of any make-up."""
HASHES_AT_ONCE = 2
"""Each takes 19 MiB and a core for tens of milliseconds; more at once would starve the predictions."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")
NAME_SCHEMA: dict[str, Any] = {"pattern": f"^{_NAME.pattern}$", "minLength": 2, "maxLength": 32}
PASSWORD_SCHEMA: dict[str, Any] = {"minLength": 12, "maxLength": 256}
"""How the OpenAPI document tells the rules; what is checked says it in better words."""


@dataclass(frozen=True)
class User:
    """An account as the database has it now."""

    username: str
    role: Role
    enabled: bool
    must_change: bool = False
    """The password was given by an admin and lets do nothing but change it."""


class Users:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._hasher = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def create_tables(self) -> None:
        SCHEMA.upgrade(self._engine)

    def add(self, username: str, password: str, role: Role, must_change: bool = False) -> User:
        """A new account; InvalidInput for a bad name or password, Conflict when the name is taken."""
        check_name(username)
        check_password(username, password)
        row = {"username": username, "password_hash": self._hasher.hash(password), "role": role, "enabled": True,
               "created_at": datetime.now(UTC), "must_change": must_change}  # fmt: skip
        with writing(self._engine) as connection:
            if connection.scalar(select(USERS.c.username).where(USERS.c.username == username)):
                raise Conflict(f"the user name {username} is taken")
            connection.execute(insert(USERS).values(row))
        return User(username, role, True, must_change)

    def get(self, username: str) -> User | None:
        return next(iter(self._read(USERS.c.username == username)), None)

    def all(self) -> list[User]:
        """Every account, by name."""
        return self._read(true())

    def change(self, username: str, role: Role | None = None, enabled: bool | None = None) -> User:
        """Change a role or whether one may enter; NotFound, or Conflict where no enabled admin would be left."""
        given: dict[str, str | bool | None] = {"role": role, "enabled": enabled}
        values = {name: value for name, value in given.items() if value is not None} or {"username": username}
        with writing(self._engine) as connection:
            found = connection.execute(update(USERS).where(USERS.c.username == username).values(values))
            if not found.rowcount:
                raise NotFound(f"there is no user {username}")
            _require_an_admin(connection)
            if enabled is False:
                connection.execute(update(SESSIONS).where(SESSIONS.c.username == username).values(revoked=True))
        changed = self.get(username)
        assert changed is not None
        return changed

    def delete(self, username: str) -> None:
        """Remove an account with its sessions and keys; NotFound, or Conflict where no enabled admin would be left."""
        with writing(self._engine) as connection:
            if not connection.execute(delete(USERS).where(USERS.c.username == username)).rowcount:
                raise NotFound(f"there is no user {username}")
            _require_an_admin(connection)

    def set_password(self, username: str, password: str, must_change: bool = False) -> None:
        """Give an account another password and end all its sessions; NotFound or InvalidInput."""
        check_password(username, password)
        row = {"password_hash": self._hasher.hash(password), "must_change": must_change}
        with writing(self._engine) as connection:
            if not connection.execute(update(USERS).where(USERS.c.username == username).values(row)).rowcount:
                raise NotFound(f"there is no user {username}")
            connection.execute(update(SESSIONS).where(SESSIONS.c.username == username).values(revoked=True))

    async def verify(self, username: str, password: str) -> User | None:
        """The enabled user with that password, or None; an unknown name takes as long as a known one."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, username, password)

    async def hashing(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do in a thread, in turn, what computes a hash."""
        async with self._turns:
            return await asyncio.to_thread(work, *given)

    def _read(self, condition: ColumnElement[bool]) -> list[User]:
        columns = (USERS.c.username, USERS.c.role, USERS.c.enabled, USERS.c.must_change)
        with self._engine.connect() as connection:
            return [User(*row) for row in connection.execute(select(*columns).where(condition).order_by(columns[0]))]

    def _verify(self, username: str, password: str) -> User | None:
        query = select(USERS).where(USERS.c.username == username)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        matches = self._hasher.verify(password, self._nobody if row is None else row.password_hash)
        if row is None or not matches or not row.enabled:
            return None
        return User(row.username, row.role, row.enabled, row.must_change)


def _require_an_admin(connection: Connection) -> None:
    left = select(USERS.c.username).where(USERS.c.role == "admin", USERS.c.enabled).limit(1)
    if connection.scalar(left) is None:
        raise Conflict("nobody would be left who is an admin and may enter")


def check_name(username: str) -> None:
    if not _NAME.fullmatch(username):
        message = "2 to 32 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit"
        raise InvalidInput(f"username: {message}", [("username", message)])


def check_password(username: str, password: str) -> None:
    """InvalidInput unless it is long, or long enough, not the user name, and not easily guessed."""
    message = ""
    if not 12 <= len(password) <= 256:
        message = "12 to 256 characters are needed"
    elif len(password.casefold().replace(username.casefold(), "")) < 8:
        message = "it must not be made of the user name"
    elif len(password) < LONG and zxcvbn(password[:64], [username], max_length=64)["score"] < 2:
        message = "it is too easily guessed; a few words that do not belong together are better"
    if message:
        raise InvalidInput(f"password: {message}", [("password", message)])


def bootstrap(users: Users, path: Path) -> bool:
    """Make the first admin and user with random passwords and write them to `path`, mode 0600; whether it did.

    The file is written before the accounts, so that an interruption loses no password: a rerun uses the file's.
    """
    if path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
    else:
        first = {role: {"username": role, "password": secrets.token_urlsafe(18)} for role in ("admin", "user")}
        temporary = path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(first, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    made = False
    for role in ("admin", "user"):
        login = first[role]
        if users.get(login["username"]) is None:
            users.add(login["username"], login["password"], "admin" if role == "admin" else "user")
            made = True
    return made
