"""Accounts, passwords and API keys, over the gateway's own HTTP."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.dependencies import Services

LogIn = Callable[[str], dict[str, str]]


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
