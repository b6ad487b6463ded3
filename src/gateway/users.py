"""Who may enter: names, Argon2id hashes, roles."""

import asyncio
import json
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import Engine, insert, select

from gateway.tables import SCHEMA, USERS
from meteo.database import writing
from meteo.errors import Conflict, InvalidInput

Role = Literal["user", "admin"]

HASHES_AT_ONCE = 2
"""Each takes 19 MiB and a core for tens of milliseconds; more at once would starve the predictions."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}")


@dataclass(frozen=True)
class User:
    """An account as the database has it now."""

    username: str
    role: Role
    enabled: bool


class Users:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._hasher = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def create_tables(self) -> None:
        SCHEMA.upgrade(self._engine)

    def add(self, username: str, password: str, role: Role) -> User:
        """A new account; InvalidInput for a bad name or password, Conflict when the name is taken."""
        check_name(username)
        check_password(username, password)
        with writing(self._engine) as connection:
            if connection.scalar(select(USERS.c.username).where(USERS.c.username == username)):
                raise Conflict(f"the user name {username} is taken")
            connection.execute(
                insert(USERS).values(
                    username=username, password_hash=self._hasher.hash(password), role=role, enabled=True,
                    created_at=datetime.now(UTC),
                )
            )  # fmt: skip
        return User(username, role, True)

    def get(self, username: str) -> User | None:
        query = select(USERS.c.username, USERS.c.role, USERS.c.enabled).where(USERS.c.username == username)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else User(row.username, row.role, row.enabled)

    async def verify(self, username: str, password: str) -> User | None:
        """The enabled user with that password, or None; an unknown name takes as long as a known one."""
        async with self._turns:
            return await asyncio.to_thread(self._verify, username, password)

    def _verify(self, username: str, password: str) -> User | None:
        query = select(USERS).where(USERS.c.username == username)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        matches = self._hasher.verify(password, self._nobody if row is None else row.password_hash)
        if row is None or not matches or not row.enabled:
            return None
        return User(row.username, row.role, row.enabled)


def check_name(username: str) -> None:
    if not _NAME.fullmatch(username):
        message = "2 to 32 of a-z, 0-9, dot, dash and underscore, beginning with a letter or digit"
        raise InvalidInput(f"username: {message}", [("username", message)])


def check_password(username: str, password: str) -> None:
    if not 12 <= len(password) <= 1024 or password.casefold() == username.casefold():
        message = "12 to 1024 characters, and not the user name"
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
