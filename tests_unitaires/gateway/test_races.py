"""Two callers at the same moment, over real HTTP, on both databases."""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete, select

from gateway.dependencies import Services
from gateway.tables import API_KEYS, USERS
from gateway.users import ProvenUser, User, Users, bootstrap
from meteo.runtime.database import connect, writing

ROUNDS = 20
QUICK = PasswordHash((Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1),))
"""The races are not for the hash."""
PASSWORD = "correct horse battery"
OpenClient = Callable[[Services], httpx.Client]


@pytest.fixture
def services(services_on: Callable[[str], Services], database: str) -> Services:
    services = services_on(database)
    services.users._hasher = QUICK
    return services


def at_once(calls: Sequence[Callable[[], httpx.Response]]) -> list[int]:
    """The status of each call, all of them begun together."""
    together = threading.Barrier(len(calls))

    def begin(call: Callable[[], httpx.Response]) -> int:
        together.wait(timeout=10)
        return call().status_code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def session(services: Services, username: str) -> dict[str, str]:
    """The header of a session that was opened without the cost of a login."""
    with services.users._engine.connect() as connection:
        stored = connection.scalar(select(USERS.c.password_hash).where(USERS.c.username == username))
    pair, _ = services.sessions.open(ProvenUser(username, "user", True, False, stored or ""))
    return {"Authorization": f"Bearer {pair.access_token}"}


def test_two_admins_who_remove_each_other_leave_one(client: httpx.Client, services: Services) -> None:
    def remove(number: int, actor: str, other: str) -> Callable[[], httpx.Response]:
        headers, path = session(services, actor), f"/admin/users/{other}"
        if number % 3 == 2:
            return lambda: client.delete(path, headers=headers)
        body: dict[str, Any] = {"role": "user"} if number % 3 else {"enabled": False}
        return lambda: client.patch(path, json=body, headers=headers)

    for number in range(ROUNDS):
        if services.users.get("eve") is None:
            services.users.add("eve", PASSWORD, "admin")
        if services.users.get("root") is None:
            services.users.add("root", PASSWORD, "admin")
        for name in ("eve", "root"):
            services.users.change(name, "admin", True)
        codes = at_once([remove(number, "root", "eve"), remove(number // 3, "eve", "root")])
        left = [user for user in services.users.all() if user.role == "admin" and user.enabled]
        assert len(left) == 1, (number, codes)
        assert sorted(code in (200, 204) for code in codes) == [False, True], codes
        assert set(codes) <= {200, 204, 401, 403, 409}


def test_of_two_accounts_of_one_name_one_is_made(client: httpx.Client, services: Services) -> None:
    root = session(services, "root")
    for number in range(ROUNDS):
        body = {"username": f"new{number}", "role": "user"}
        make = lambda body=body: client.post("/admin/users", json=body, headers=root)  # noqa: E731
        assert sorted(at_once([make, make])) == [201, 409]


def test_of_two_who_sign_up_by_one_name_one_gets_it(services: Services, open_client: OpenClient) -> None:
    client = open_client(replace(services, registration_open=True))
    for number in range(ROUNDS):
        body = {"username": f"new{number}", "password": PASSWORD}
        sign_up = lambda body=body: client.post("/register", json=body)  # noqa: E731
        assert sorted(at_once([sign_up, sign_up])) == [201, 409]


def test_the_number_of_keys_is_bounded_for_many_at_once(client: httpx.Client, services: Services) -> None:
    ann = session(services, "ann")
    codes = at_once([lambda: client.post("/me/keys", json={"label": "x"}, headers=ann)] * 30)
    assert sorted(codes) == [201] * 20 + [409] * 10
    with services.users._engine.connect() as connection:
        assert len(connection.execute(select(API_KEYS.c.prefix)).all()) == 20


@pytest.mark.parametrize("shared", [True, False], ids=["one file", "a file each"])
def test_replicas_that_start_together_make_the_first_logins_once(database: str, tmp_path: Path, shared: bool) -> None:
    replicas = [Users(connect(database)) for _ in range(3)]
    replicas[0].create_tables()
    for replica in replicas:
        replica._hasher = QUICK
    together = threading.Barrier(3)

    def start(number: int) -> bool:
        together.wait(timeout=10)
        return bootstrap(replicas[number], folder / ("logins.json" if shared else f"logins{number}.json"))

    for round_ in range(5):
        folder = tmp_path / str(round_)
        folder.mkdir()
        with ThreadPoolExecutor(3) as pool:
            assert sorted(pool.map(start, range(3))) == [False, False, True]
        (written,) = folder.iterdir()
        logins = json.loads(written.read_text(encoding="utf-8"))
        assert all(isinstance(replicas[0]._verify(**login), User) for login in logins.values())
        assert [(user.username, user.role) for user in replicas[0].all()] == [("admin", "admin"), ("user", "user")]
        with writing(replicas[0]._engine) as connection:
            connection.execute(delete(USERS))
    for replica in replicas:
        replica._engine.dispose()
