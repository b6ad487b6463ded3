"""Whoever logged in on a device before is not kept out by what strangers guess, over real HTTP."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from redis import Redis

from gateway import devices
from gateway.dependencies import Services
from gateway.rate_limits import Limiter, Rates
from gateway.sessions import Sessions
from gateway.tokens import AccessTokens
from meteo.errors import NotAuthenticated

PASSWORD, BETTER = "correct horse battery", "seven brown kettles"
OpenClient = Callable[[Services], httpx.Client]
NEW = "n" * 40


@pytest.fixture
def services(
    request: pytest.FixtureRequest, services_on: Callable[[str], Services], database: str
) -> Iterator[Services]:
    """On each database, with failures counted in each store."""
    rates = Rates(failures_per_peer="1000/second")
    if database.startswith("sqlite"):
        yield replace(services_on(database), limiter=Limiter(rates))
        return
    address = request.getfixturevalue("redis")
    yield replace(services_on(database), limiter=Limiter(replace(rates, storage=address)))
    with Redis(unix_socket_path=address.removeprefix("redis+unix://")) as server:
        server.flushall()


def log_in(client: httpx.Client, username: str = "ann", password: str = PASSWORD) -> httpx.Response:
    return client.post("/token", data={"username": username, "password": password})


@contextmanager
def stranger(client: httpx.Client) -> Iterator[httpx.Client]:
    """Somebody else's client of the same gateway, without cookies."""
    with httpx.Client(base_url=client.base_url, trust_env=False, timeout=30) as other:
        yield other


def guess(client: httpx.Client, times: int, username: str = "ann") -> list[int]:
    return [log_in(client, username, f"wrong {number}").status_code for number in range(times)]


def test_strangers_do_not_keep_the_owner_out_of_a_known_device(client: httpx.Client) -> None:
    assert log_in(client).status_code == 200
    with stranger(client) as other:
        for _ in range(2):  # and again, as soon as the owner is in
            assert 429 in guess(other, 11)
            assert log_in(other).status_code == 429, "without the device the account's own count holds"
            assert log_in(client).status_code == 200
    assert guess(client, 12) == [401] * 10 + [429] * 2, "a known device has a count of its own"
    refused = log_in(client)
    assert (refused.status_code, 0 < int(refused.headers["Retry-After"]) <= 300) == (429, True)


def test_a_device_is_known_for_its_account_alone(client: httpx.Client) -> None:
    assert log_in(client).status_code == 200
    anns = dict(client.cookies)
    with stranger(client) as other:
        assert guess(other, 11, "root")[-1] == 429
        other.cookies.update({devices.cookie("root"): anns[devices.cookie("ann")]})
        assert log_in(other, "root").status_code == 429
    assert log_in(client, "root").status_code == 429
    with stranger(client) as both:
        assert log_in(both).status_code == 200
        assert len(both.cookies) == 1
        assert both.get("/me").status_code == 401, "a device token gives no right"


def test_a_forged_device_counts_as_none(client: httpx.Client) -> None:
    zeros = f"{'0' * 32}.99999999999.{'0' * 64}"
    odd = ["", ".", "..", "...", "x", "a.b.c", zeros, "é.1.2", "0.1e9.x", "0.-1.", "." * 4000]
    with stranger(client) as other:
        form = {"username": "ann", "password": "wrong"}
        cookies = [f"{devices.cookie('ann')}={token}".encode() for token in odd]
        codes = [other.post("/token", data=form, headers={b"Cookie": cookie}).status_code for cookie in cookies]
    assert codes == [401] * 10 + [429]


def test_an_edited_device_counts_as_none(client: httpx.Client) -> None:
    log_in(client)
    ((name, known),) = client.cookies.items()
    session, until, mac = known.split(".")
    with stranger(client) as other:
        assert guess(other, 11)[-1] == 429
        parts = [(session, int(until) + 1, mac), ("0" * 32, until, mac), (session, until, mac[:-1]),
                 (session, until, mac.upper()), (session, until, f"{mac}0")]  # fmt: skip
        for edited in parts:
            cookie = {"Cookie": f"{name}={'.'.join(str(part) for part in edited)}"}
            answer = other.post("/token", data={"username": "ann", "password": PASSWORD}, headers=cookie)
            assert answer.status_code == 429, edited


@pytest.mark.parametrize("end", ["change", "reset"])
def test_another_password_makes_devices_unknown(client: httpx.Client, end: str) -> None:
    ann = {"Authorization": f"Bearer {log_in(client).json()['access_token']}"}
    if end == "change":
        assert client.post("/me/password", json={"current": PASSWORD, "new": BETTER}, headers=ann).status_code == 204
        given = BETTER
    else:
        with stranger(client) as other:
            root = {"Authorization": f"Bearer {log_in(other, 'root').json()['access_token']}"}
            given = other.patch("/admin/users/ann", json={"reset_password": True}, headers=root).json()["password"]
    with stranger(client) as other:
        assert guess(other, 11)[-1] == 429
    assert log_in(client, "ann", given).status_code == 429


def test_who_has_devices_or_an_account_cannot_be_told(client: httpx.Client) -> None:
    log_in(client)
    answers = {}
    for name in ("ann", "root", "nobody"):  # a known device somewhere, none, no account
        with stranger(client) as other:
            cookie = {"Cookie": f"{devices.cookie(name)}={'0' * 32}.99999999999.{'0' * 64}"}
            form = {"username": name, "password": "wrong"}
            tried = [other.post("/token", data=form, headers=cookie) for _ in range(12)]
            bodies = [{**answer.json(), "request_id": "", "detail": ""} for answer in tried]
            answers[name] = (
                bodies,
                [answer.status_code for answer in tried],
                {"set-cookie" in one.headers for one in tried},
            )
    assert answers["ann"] == answers["root"] == answers["nobody"]


def test_guesses_at_a_password_change_are_slowed_with_those_of_the_device(client: httpx.Client) -> None:
    ann = {"Authorization": f"Bearer {log_in(client).json()['access_token']}"}

    def change(current: str) -> httpx.Response:
        return client.post("/me/password", json={"current": current, "new": BETTER}, headers=ann)

    with stranger(client) as other:
        assert guess(other, 11)[-1] == 429
    assert guess(client, 4) == [401] * 4
    answers = [change(f"wrong {number}") for number in range(30)]
    assert [answer.status_code for answer in answers] == [422] * 6 + [429] * 24
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 300
    assert change(PASSWORD).status_code == 429
    assert log_in(client).status_code == 429
    assert client.get("/me", headers=ann).status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: httpx.Client) -> None:
    cookie = log_in(client).headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/token", f"max-age={devices.SECONDS}"))
    assert guess(client, 1) == [401]
    (again,) = client.cookies.values()
    assert again in cookie, "a wrong password gives no device"


def test_devices_outlive_a_change_of_the_secret_by_its_leave(services: Services, open_client: OpenClient) -> None:
    services = replace(services, limiter=Limiter(Rates()))
    client = open_client(services)
    log_in(client)
    engine = services.users._engine
    meanwhile = replace(services, sessions=Sessions(engine, AccessTokens(NEW, 15, "j" * 40), 7))
    after = replace(services, sessions=Sessions(engine, AccessTokens(NEW, 15), 7))
    with stranger(client) as other:
        assert guess(other, 11)[-1] == 429
    for changed, status in ((after, 429), (meanwhile, 200)):
        with open_client(changed) as other:
            other.cookies.update(client.cookies)
            assert log_in(other).status_code == status


def test_a_device_is_forgotten_half_a_year_after_its_last_login(monkeypatch: pytest.MonkeyPatch) -> None:
    known = devices.Devices([b"k"])
    token = known.issue("ann", "hash", "s")
    assert known.session(token, "ann", "hash") == "s"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + devices.SECONDS + 1)
    assert known.session(token, "ann", "hash") is None


def test_a_login_that_a_reset_overtakes_opens_nothing(services: Services) -> None:
    user = services.users._verify("ann", PASSWORD)
    assert user is not None
    services.users.set_password("ann", BETTER)
    with pytest.raises(NotAuthenticated):
        services.sessions.open(user)
    late = services.users._verify("ann", BETTER)
    assert late is not None
    services.users.delete("ann")
    with pytest.raises(NotAuthenticated):
        services.sessions.open(late)


def test_a_key_that_a_password_change_overtakes_is_not_made(services: Services) -> None:
    user = services.users._verify("ann", PASSWORD)
    assert user is not None
    session = services.sessions.open(user)[0]
    current: Any = services.sessions._look_up(f"Bearer {session.access_token}")[0]
    services.users.set_password("ann", BETTER)
    with pytest.raises(NotAuthenticated):
        services.keys.create("ann", current.session, "late", 1)


def test_sign_ups_are_bounded_by_peer(services: Services, open_client: OpenClient) -> None:
    few = Limiter(Rates(failures_per_peer="3/minute"))
    client = open_client(replace(services, limiter=few, registration_open=True))
    answers = [client.post("/register", json={"username": f"eve{number}", "password": BETTER}) for number in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert log_in(client, "eve0", BETTER).status_code == 200, "signing up is no failed login"
