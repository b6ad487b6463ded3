"""Accounts, passwords and API keys, over the gateway's own HTTP."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import bindparam, select, text, update
from starlette.responses import JSONResponse

from gateway.dependencies import Services
from gateway.rate_limits import Limiter, Rates
from gateway.tables import API_KEYS, SCHEMA
from meteo.runtime.database import UtcDateTime, connect, writing

LogIn = Callable[[str], dict[str, str]]
OpenClient = Callable[[Services], httpx.Client]
PASSWORD = "correct horse battery"
BETTER = "seven brown kettles"


def token(client: httpx.Client, username: str, password: str) -> Any:
    return client.post("/token", data={"username": username, "password": password})


def bearer(client: httpx.Client, username: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(client, username, password).json()['access_token']}"}


def test_an_account_begins_with_a_password_that_must_be_changed(
    client: httpx.Client, log_in: LogIn, services: Services
) -> None:
    root = log_in("root")
    made = client.post("/admin/users", json={"username": "eve", "role": "admin"}, headers=root)
    assert made.status_code == 201
    given = made.json()["password"]
    eve = bearer(client, "eve", given)
    assert client.get("/me", headers=eve).json() == {"username": "eve", "role": "admin", "must_change_password": True}
    for path in ("/stations", "/admin/users"):
        refused = client.get(path, headers=eve)
        assert (refused.status_code, "change it first" in refused.json()["detail"]) == (403, True)
    wrong = client.post("/me/password", json={"current": "x", "new": BETTER}, headers=eve)
    assert [error["field"] for error in wrong.json()["errors"]] == ["current"]
    weak = client.post("/me/password", json={"current": given, "new": "passwordpassword"}, headers=eve)
    assert [error["field"] for error in weak.json()["errors"]] == ["password"]
    assert client.post("/me/password", json={"current": given, "new": BETTER}, headers=eve).status_code == 204
    assert client.get("/me", headers=eve).status_code == 401
    assert client.get("/admin/users", headers=bearer(client, "eve", BETTER)).status_code == 200
    assert token(client, "eve", given).status_code == 401
    actions = [(entry["actor"], entry["action"], entry["outcome"]) for entry in services.audit.latest(20)]
    assert ("root", "create user", "success") in actions
    assert ("eve", "change password", "refused") in actions
    assert ("eve", "change password", "success") in actions


def test_what_an_admin_changes_holds_from_the_next_request_on(client: httpx.Client, log_in: LogIn) -> None:
    root, ann = log_in("root"), log_in("ann")
    assert client.get("/admin/users", headers=ann).status_code == 403
    changed = client.patch("/admin/users/ann", json={"role": "admin"}, headers=root).json()
    assert changed == {"username": "ann", "role": "admin", "enabled": True, "must_change_password": False,
                       "password": None}  # fmt: skip
    assert client.get("/admin/users", headers=ann).status_code == 200
    client.patch("/admin/users/ann", json={"role": "user"}, headers=root)
    assert client.get("/admin/users", headers=ann).status_code == 403
    client.patch("/admin/users/ann", json={"enabled": False}, headers=root)
    assert client.get("/me", headers=ann).status_code == 401
    assert token(client, "ann", PASSWORD).status_code == 401
    client.patch("/admin/users/ann", json={"enabled": True}, headers=root)
    assert client.get("/me", headers=ann).status_code == 401, "the old session stays ended"
    fresh = log_in("ann")
    given = client.patch("/admin/users/ann", json={"reset_password": True}, headers=root).json()["password"]
    assert client.get("/me", headers=fresh).status_code == 401
    again = bearer(client, "ann", given)
    assert client.delete("/admin/users/ann", headers=root).status_code == 204
    assert client.get("/me", headers=again).status_code == 401
    (entry,) = client.get("/admin/audit", params={"action": "delete user", "limit": 1}, headers=root).json()
    assert (entry["actor"], entry["detail"]["before"]["username"]) == ("root", "ann")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/admin/users/root", {"role": "user"}, 409),
        ("PATCH", "/admin/users/root", {"enabled": False}, 409),
        ("DELETE", "/admin/users/root", None, 409),
        ("PATCH", "/admin/users/nobody", {"enabled": False}, 404),
        ("DELETE", "/admin/users/nobody", None, 404),
        ("PATCH", "/admin/users/ann", {}, 422),
        ("PATCH", "/admin/users/ann", {"role": "king"}, 422),
        ("POST", "/admin/users", {"username": "ann"}, 409),
        ("POST", "/admin/users", {"username": "A b"}, 422),
        ("POST", "/admin/users", {"username": "eve", "password": "x"}, 422),
    ],
)
def test_changes_that_cannot_be_are_refused_and_change_nothing(
    client: httpx.Client, log_in: LogIn, method: str, path: str, body: Any, status: int
) -> None:
    root = log_in("root")
    before = client.get("/admin/users", headers=root).json()
    assert client.request(method, path, json=body, headers=root).status_code == status
    assert client.get("/admin/users", headers=root).json() == before


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


def test_a_key_acts_as_its_owner_until_it_is_revoked(client: httpx.Client, log_in: LogIn, services: Services) -> None:
    ann = log_in("ann")
    made = client.post("/me/keys", json={"label": "notebook"}, headers=ann).json()
    key = {"Authorization": f"Bearer {made['key']}"}
    assert client.get("/me", headers=key).json()["username"] == "ann"
    assert client.get("/admin/users", headers=key).status_code == 403
    (listed,) = client.get("/me/keys", headers=ann).json()
    assert (listed["prefix"], listed["label"], "key" in listed) == (made["prefix"], "notebook", False)
    for wrong in (made["key"][:-1], made["key"] + "x", f"rtk_{made['prefix']}_", "rtk_", "rtk__x"):
        assert client.get("/me", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401
    with services.users._engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    assert made["key"].split("_", 2)[2] not in stored
    root = log_in("root")
    assert client.delete(f"/me/keys/{made['prefix']}", headers=root).status_code == 404, "another's key"
    assert client.get("/me", headers=key).status_code == 200
    assert client.delete(f"/me/keys/{made['prefix']}", headers=ann).status_code == 204
    assert client.get("/me", headers=key).status_code == 401


@pytest.mark.parametrize("end", ["change", "reset", "reset in the shell", "disabled", "deleted"])
def test_keys_die_with_the_password_and_the_account(
    services_on: Callable[[str], Services], open_client: OpenClient, database: str, end: str
) -> None:
    services = services_on(database)
    client = open_client(services)
    root, ann = bearer(client, "root", PASSWORD), bearer(client, "ann", PASSWORD)
    made = client.post("/me/keys", json={"label": "notebook"}, headers=ann).json()["key"]
    key = {"Authorization": f"Bearer {made}"}
    assert client.get("/me", headers=key).status_code == 200
    if end == "change":
        client.post("/me/password", json={"current": PASSWORD, "new": BETTER}, headers=ann).raise_for_status()
    elif end == "reset":
        client.patch("/admin/users/ann", json={"reset_password": True}, headers=root).raise_for_status()
    elif end == "reset in the shell":
        services.users.set_password("ann", BETTER, must_change=True)
    elif end == "disabled":
        client.patch("/admin/users/ann", json={"enabled": False}, headers=root).raise_for_status()
        client.patch("/admin/users/ann", json={"enabled": True}, headers=root).raise_for_status()
    else:
        client.delete("/admin/users/ann", headers=root).raise_for_status()
    assert client.get("/me", headers=key).status_code == 401
    assert client.get("/admin/keys", headers=root).json() == []


def test_a_key_expires(services_on: Callable[[str], Services], open_client: OpenClient, database: str) -> None:
    services = services_on(database)
    client = open_client(services)
    ann = bearer(client, "ann", PASSWORD)
    made = client.post("/me/keys", json={"label": "notebook", "days": 7}, headers=ann).json()
    (listed,) = client.get("/me/keys", headers=ann).json()
    assert listed == {name: made[name] for name in ("prefix", "label", "created_at", "expires_at")}
    created, expires = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert expires - created == timedelta(days=7)
    for days in (0, 366, -1, 1.5, "7", None, 10**30):
        asked = {"label": "notebook", "days": days}
        assert client.post("/me/keys", json=asked, headers=ann).status_code == 422, days
    longest = client.post("/me/keys", json={"label": "notebook", "days": 365}, headers=ann).json()
    assert datetime.fromisoformat(longest["expires_at"]) - datetime.now(UTC) <= timedelta(days=365)
    key = {"Authorization": f"Bearer {made['key']}"}
    assert client.get("/me", headers=key).status_code == 200
    with writing(services.users._engine) as connection:
        mine = API_KEYS.c.prefix == made["prefix"]
        connection.execute(update(API_KEYS).where(mine).values(expires_at=datetime.now(UTC) + timedelta(seconds=1)))
    assert client.get("/me", headers=key).status_code == 200
    deadline = time.monotonic() + 10
    while (answer := client.get("/me", headers=key)).status_code == 200 and time.monotonic() < deadline:
        pass  # what is known of the key ends with it, though nothing was committed
    unknown = client.get("/me", headers={"Authorization": "Bearer rtk_000000000000_x"})
    assert [answer.status_code, answer.json()["detail"]] == [401, unknown.json()["detail"]]


def test_keys_of_before_live_a_year(database: str) -> None:
    engine = connect(database)
    SCHEMA.upgrade(engine, "0002")
    made = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    user = (
        "INSERT INTO users (username, password_hash, role, enabled, created_at) VALUES ('ann', '', 'user', true, :at)"
    )
    key = "INSERT INTO api_keys (prefix, username, digest, label, created_at) VALUES ('0', 'ann', '', '', :at)"
    with engine.begin() as connection:
        for statement in (user, key):
            connection.execute(text(statement).bindparams(bindparam("at", made, UtcDateTime)))
    SCHEMA.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalars(select(API_KEYS.c.expires_at)).all() == [made + timedelta(days=365)]
    engine.dispose()


def test_an_admin_lists_and_revokes_everybodys_keys(client: httpx.Client, log_in: LogIn) -> None:
    root, ann = log_in("root"), log_in("ann")
    made = client.post("/me/keys", json={"label": "notebook"}, headers=ann).json()
    client.post("/me/keys", json={"label": "own"}, headers=root)
    listed = client.get("/admin/keys", headers=root).json()
    assert [(key["username"], key["label"]) for key in listed] == [("root", "own"), ("ann", "notebook")]
    assert not any("key" in entry or "digest" in entry for entry in listed)
    assert client.get("/admin/keys", headers=ann).status_code == 403
    path = f"/admin/keys/{made['prefix']}"
    assert client.delete(path, headers=ann).status_code == 403
    assert client.delete(path, headers=root).status_code == 204
    assert client.get("/me", headers={"Authorization": f"Bearer {made['key']}"}).status_code == 401
    assert client.delete(path, headers=root).status_code == 404
    (entry,) = client.get("/admin/audit", params={"action": "revoke key"}, headers=root).json()
    assert (entry["actor"], entry["detail"]) == ("root", {"prefix": made["prefix"], "owner": "ann"})


def test_the_number_of_keys_is_bounded(client: httpx.Client, log_in: LogIn) -> None:
    ann = log_in("ann")
    made = [client.post("/me/keys", json={"label": str(number)}, headers=ann).status_code for number in range(21)]
    assert made == [201] * 20 + [409]


def test_predictions_are_counted_per_user_and_answers_say_what_is_left(
    client: httpx.Client, behind: Any, log_in: LogIn
) -> None:
    ann, root = log_in("ann"), log_in("root")
    left = [client.post("/predict", json={}, headers=ann).headers["RateLimit-Remaining"] for _ in range(10)]
    assert left == [str(number) for number in range(9, -1, -1)]
    refused = client.post("/predict", json={}, headers=ann)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("10", "0")
    assert client.get("/stations", headers=ann).status_code == 200
    assert all(client.post("/predict", json={}, headers=root).status_code == 200 for _ in range(30))
    key = client.post("/me/keys", json={"label": "x"}, headers=ann).json()["key"]
    program = client.post("/predict", json={}, headers={"Authorization": f"Bearer {key}"})
    assert (program.status_code, program.headers["RateLimit-Limit"]) == (200, "600")


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


def test_a_body_beyond_the_limit_is_refused_early(client: httpx.Client, log_in: LogIn, behind: Any) -> None:
    headers = {**log_in("root"), "Content-Type": "text/csv"}
    calls = len(behind.calls)
    answer = client.post("/predict/batch", content=b"x" * 10_000_001, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert len(behind.calls) == calls

    def endless() -> Any:
        for _ in range(2000):
            yield b"y" * 10_000

    answer = client.post("/predict/batch", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_own_predictions_are_asked_for_with_checked_parameters(
    client: httpx.Client, behind: Any, log_in: LogIn
) -> None:
    behind.answers["GET /predictions"] = JSONResponse([])
    ann = log_in("ann")
    given = {"station": "Sydney", "start": "2024-01-01", "limit": "5"}
    assert client.get("/predictions", params=given, headers=ann).status_code == 200
    assert behind.calls[-1][1] == "/predictions"
    for wrong in ({"station": "Nowhere"}, {"start": "soon"}, {"limit": "0"}):
        assert client.get("/predictions", params=wrong, headers=ann).status_code == 422
