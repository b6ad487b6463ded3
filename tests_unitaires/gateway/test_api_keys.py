import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import bindparam, select, text, update

from gateway.dependencies import Services
from gateway.tables import API_KEYS, SCHEMA, USERS
from meteo.errors import NotAuthenticated
from meteo.runtime.database import UtcDateTime, connect, writing

LogIn = Callable[[str], dict[str, str]]


OpenClient = Callable[[Services], httpx.Client]


PASSWORD = "correct horse battery"


BETTER = "seven brown kettles"


def token(client: httpx.Client, username: str, password: str) -> Any:
    return client.post("/token", data={"username": username, "password": password})


def bearer(client: httpx.Client, username: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(client, username, password).json()['access_token']}"}


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


def test_one_key_is_revoked_and_the_others_are_not(client: httpx.Client, log_in: LogIn) -> None:
    ann = log_in("ann")
    gone, kept = (client.post("/me/keys", json={"label": label}, headers=ann).json() for label in ("gone", "kept"))
    assert client.delete(f"/me/keys/{gone['prefix']}", headers=ann).status_code == 204
    assert client.get("/me", headers={"Authorization": f"Bearer {kept['key']}"}).status_code == 200
    again = client.delete(f"/me/keys/{gone['prefix']}", headers=ann).json()
    assert again["detail"] == f"you have no key {gone['prefix']}"
    anybodys = client.delete(f"/admin/keys/{gone['prefix']}", headers=log_in("root")).json()
    assert anybodys["detail"] == f"there is no key {gone['prefix']}"


def test_a_key_is_made_only_while_the_session_that_asks_lives(client: httpx.Client, services: Services) -> None:
    over, alive = (bearer(client, "ann", PASSWORD) for _ in range(2))
    session = services.sessions._look_up(over["Authorization"])[0].session
    assert session is not None
    services.sessions.revoke(session)
    with pytest.raises(NotAuthenticated):
        services.keys.create("ann", session, "late", 1)
    assert client.post("/me/keys", json={"label": "in time"}, headers=alive).status_code == 201


def test_making_a_key_clears_away_ones_own_that_have_expired_and_nobody_elses(services: Services) -> None:
    sessions = {}
    for name in ("ann", "root"):
        user = services.users._verify(name, PASSWORD)
        assert user is not None
        pair, _ = services.sessions.open(user)
        sessions[name] = str(services.sessions._look_up(f"Bearer {pair.access_token}")[0].session)
        services.keys.create(name, sessions[name], "old", 1)
    services.keys.create("ann", sessions["ann"], "still good", 1)
    past = datetime.now(UTC) - timedelta(seconds=1)
    with writing(services.keys._engine) as connection:
        connection.execute(update(API_KEYS).where(API_KEYS.c.label == "old").values(expires_at=past))
    services.keys.create("ann", sessions["ann"], "new", 1)
    assert {(key.username, key.label) for key in services.keys.all()} == {
        ("ann", "still good"), ("ann", "new"), ("root", "old"),
    }  # fmt: skip


@pytest.mark.parametrize(("change", "status"), [({"enabled": False}, 401), ({"must_change": True}, 403)])
def test_a_key_that_is_left_does_no_more_than_its_owner_may(
    client: httpx.Client, log_in: LogIn, services: Services, change: dict[str, bool], status: int
) -> None:
    made = client.post("/me/keys", json={"label": "x"}, headers=log_in("ann")).json()["key"]
    with writing(services.keys._engine) as connection:
        connection.execute(update(USERS).where(USERS.c.username == "ann").values(change))
    assert client.get("/stations", headers={"Authorization": f"Bearer {made}"}).status_code == status
