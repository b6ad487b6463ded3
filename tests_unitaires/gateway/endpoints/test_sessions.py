import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from gateway.dependencies import Services
from gateway.rate_limits import Limiter, Rates

LogIn = Callable[[str], dict[str, str]]


OpenClient = Callable[[Services], httpx.Client]


PASSWORD = "correct horse battery"


BETTER = "seven brown kettles"


def token(client: httpx.Client, username: str, password: str) -> Any:
    return client.post("/token", data={"username": username, "password": password})


def test_one_may_sign_up_only_where_registration_is_open(
    client: httpx.Client, services: Services, open_client: OpenClient
) -> None:
    asked = {"username": "eve", "password": BETTER}
    assert client.post("/register", json=asked).status_code == 403
    with open_client(replace(services, registration_open=True)) as invited:
        assert invited.post("/register", json=asked).json()["role"] == "user"
        assert invited.post("/register", json=asked).status_code == 409
        assert invited.post("/register", json={**asked, "role": "admin"}).status_code == 422
        assert token(invited, "eve", BETTER).status_code == 200
        for number, script in enumerate(("ж", "雨", "ा", "🌧")):
            account = {"username": f"any{number}", "password": script * 10 + "Ωmega-" + script * 48}
            assert invited.post("/register", json=account).status_code == 201
            assert token(invited, account["username"], account["password"]).status_code == 200
        huge = invited.post("/register", json={"username": "big", "password": "x" * 1_000_000})
        assert huge.status_code == 422


def test_guessing_is_slowed_down_per_account_and_per_peer(
    client: httpx.Client, services: Services, open_client: OpenClient
) -> None:
    tries = [token(client, "ann", f"wrong {number}").status_code for number in range(12)]
    assert tries == [401] * 10 + [429] * 2
    throttled = token(client, "ann", PASSWORD)
    assert throttled.status_code == 429
    assert 0 < int(throttled.headers["Retry-After"]) <= 300
    assert token(client, "root", PASSWORD).status_code == 200, "others are not kept out by it"
    many = [token(client, f"nobody{number}", "wrong").status_code for number in range(40)]
    assert many.count(401) == 30
    assert token(client, "root", PASSWORD).status_code == 429
    quick = replace(services, limiter=Limiter(Rates(failures_per_account="2/second")))
    with open_client(quick) as other:
        codes = [token(other, "ann", "wrong").status_code for _ in range(3)]
        assert codes.count(429) <= 1
        time.sleep(1.1)
        assert token(other, "ann", PASSWORD).status_code == 200, "the owner is not locked out for good"


def test_a_right_login_forgets_the_wrong_ones(client: httpx.Client) -> None:
    for _ in range(3):
        assert [token(client, "ann", "wrong").status_code for _ in range(8)] == [401] * 8
        assert token(client, "ann", PASSWORD).status_code == 200


def test_where_nobody_can_count_nobody_is_let_through(
    client: httpx.Client, services: Services, log_in: LogIn, open_client: OpenClient
) -> None:
    ann = log_in("ann")
    blind = replace(services, limiter=Limiter(Rates(storage="redis://127.0.0.1:9")))
    with open_client(blind) as other:
        assert token(other, "ann", PASSWORD).status_code == 503
        assert other.post("/predict", json={}, headers=ann).status_code == 503
        assert other.get("/me", headers=ann).status_code == 200
