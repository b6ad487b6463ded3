"""Who may enter: names, Argon2id hashes, roles."""

import asyncio
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, true, update
from sqlalchemy.exc import IntegrityError
from zxcvbn import zxcvbn

from gateway.tables import API_KEYS, SCHEMA, SESSIONS, USERS
from meteo.errors import Conflict, InvalidInput, NotFound
from meteo.runtime.database import writing
from meteo.runtime.threads import Probe, Threads

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


@dataclass(frozen=True)
class ProvenUser(User):
    """Somebody whose password was right, and the hash that it was held against."""

    password_hash: str = field(default="", repr=False)


class Users:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._hasher = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
        self._hashers = Threads(HASHES_AT_ONCE, "passwords")
        self.missing = Probe("accounts", engine).missing
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def create_tables(self) -> None:
        SCHEMA.upgrade(self._engine)

    def add(self, username: str, password: str, role: Role, must_change: bool = False) -> User:
        """A new account; InvalidInput for a bad name or password, Conflict when the name is taken."""
        self._insert([self._row(username, password, role, must_change)], lambda: None)
        return User(username, role, True, must_change)

    def add_first(self, logins: Mapping[Role, Mapping[str, str]], publish: Callable[[], object]) -> None:
        """All of these accounts or, with Conflict, none; `publish` is called when nobody else can make them any more,
        before they are there."""
        rows = [self._row(login["username"], login["password"], role) for role, login in logins.items()]
        self._insert(rows, publish)

    def _row(self, username: str, password: str, role: Role, must_change: bool = False) -> dict[str, Any]:
        check_name(username)
        check_password(username, password)
        return {
            "username": username,
            "password_hash": self._hasher.hash(password),
            "role": role,
            "enabled": True,
            "created_at": datetime.now(UTC),
            "must_change": must_change,
        }

    def _insert(self, rows: Sequence[dict[str, Any]], publish: Callable[[], object]) -> None:
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(USERS), rows)
                publish()
        except IntegrityError:
            raise Conflict(f"the user name {' or '.join(row['username'] for row in rows)} is taken") from None

    def get(self, username: str) -> User | None:
        return next(iter(self._read(USERS.c.username == username)), None)

    def all(self) -> list[User]:
        """Every account, by name."""
        return self._read(true())

    def change(self, username: str, role: Role | None = None, enabled: bool | None = None) -> User:
        """Change a role or whether one may enter; NotFound, or Conflict where no enabled admin would be left. The
        sessions and keys of those who may not end."""
        given: dict[str, str | bool | None] = {"role": role, "enabled": enabled}
        values = {name: value for name, value in given.items() if value is not None} or {"username": username}
        with _keeping_an_admin(self._engine) as connection:
            if not connection.execute(update(USERS).where(USERS.c.username == username).values(values)).rowcount:
                raise NotFound(f"there is no user {username}")
            if enabled is False:
                _end_logins(connection, username)
        changed = self.get(username)
        assert changed is not None
        return changed

    def delete(self, username: str) -> None:
        """Remove an account with its sessions and keys; NotFound, or Conflict where no enabled admin would be left."""
        with _keeping_an_admin(self._engine) as connection:
            if not connection.execute(delete(USERS).where(USERS.c.username == username)).rowcount:
                raise NotFound(f"there is no user {username}")

    def set_password(self, username: str, password: str, must_change: bool = False) -> None:
        """Give an account another password and end all its sessions and keys; NotFound or InvalidInput."""
        check_password(username, password)
        row = {"password_hash": self._hasher.hash(password), "must_change": must_change}
        with writing(self._engine) as connection:
            if not connection.execute(update(USERS).where(USERS.c.username == username).values(row)).rowcount:
                raise NotFound(f"there is no user {username}")
            _end_logins(connection, username)

    async def verify(self, username: str, password: str) -> ProvenUser | None:
        """The enabled user with that password, or None; an unknown name takes as long as a known one."""
        return await self.hashing(self._verify, username, password)

    async def hashing(self, work: Callable[..., Result], *given: Any) -> Result:
        """Do in one of HASHES_AT_ONCE threads what computes a hash."""
        return await asyncio.get_running_loop().run_in_executor(self._hashers, work, *given)

    def _read(self, condition: ColumnElement[bool]) -> list[User]:
        columns = (USERS.c.username, USERS.c.role, USERS.c.enabled, USERS.c.must_change)
        with self._engine.connect() as connection:
            return [User(*row) for row in connection.execute(select(*columns).where(condition).order_by(columns[0]))]

    def _verify(self, username: str, password: str) -> ProvenUser | None:
        query = select(USERS).where(USERS.c.username == username)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        matches = self._hasher.verify(password, self._nobody if row is None else row.password_hash)
        if row is None or not matches or not row.enabled:
            return None
        return ProvenUser(row.username, row.role, row.enabled, row.must_change, row.password_hash)


@contextmanager
def _keeping_an_admin(engine: Engine) -> Iterator[Connection]:
    """A transaction for what may take an admin away: one at a time, and Conflict where no enabled admin is left."""
    admins = select(USERS.c.username).where(USERS.c.role == "admin", USERS.c.enabled).order_by(USERS.c.username)
    with writing(engine) as connection:
        connection.execute(admins.with_for_update())  # in SQLite one writes at a time anyway
        yield connection
        if connection.scalar(admins.limit(1)) is None:
            raise Conflict("nobody would be left who is an admin and may enter")


def _end_logins(connection: Connection, username: str) -> None:
    connection.execute(update(SESSIONS).where(SESSIONS.c.username == username).values(revoked=True))
    connection.execute(delete(API_KEYS).where(API_KEYS.c.username == username))


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

    The file is there before the accounts, so that an interruption loses no password: a rerun uses the file's. Of
    several that begin together one makes the accounts, and the others leave no file.
    """
    roles: tuple[Role, Role] = ("admin", "user")
    if path.exists():
        first = json.loads(path.read_text(encoding="utf-8"))
    else:
        first = {role: {"username": role, "password": secrets.token_urlsafe(18)} for role in roles}
    missing = {role: first[role] for role in roles if users.get(first[role]["username"]) is None}
    if not missing:
        return False
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    temporary = Path(name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(first, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    try:
        users.add_first(missing, lambda: temporary.replace(path))
    except Conflict:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True
