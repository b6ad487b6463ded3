import base64
import hmac
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import delete, update

from gateway.dependencies import Services
from gateway.tables import SESSIONS, USERS
from meteo.runtime.database import writing

SECRET, PASSWORD = "j" * 40, "correct horse battery"
LogIn = Callable[[str], dict[str, str]]


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"sub": "ann", "sid": "0" * 32, "jti": "1", "iat": now, "nbf": now, "exp": now + 900,
            "iss": "rain-tomorrow-gateway", "aud": "rain-tomorrow", **changes}  # fmt: skip


def forged(header: dict[str, Any], body: dict[str, Any], signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, body)]
    return ".".join([*parts, signature])


def me(client: httpx.Client, token: str) -> int:
    return client.get("/me", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_login_gives_a_pair_that_says_who_one_is(client: httpx.Client) -> None:
    pair = client.post("/token", data={"username": "ann", "password": PASSWORD}).json()
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 900)
    answer = client.get("/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert answer.json() == {"username": "ann", "role": "user", "must_change_password": False}


@pytest.mark.parametrize(
    ("username", "password"), [("ann", "wrong"), ("nobody", PASSWORD), ("ann", ""), ("", PASSWORD)]
)
def test_a_wrong_login_says_the_same_for_every_reason(client: httpx.Client, username: str, password: str) -> None:
    answer = client.post("/token", data={"username": username, "password": password})
    assert answer.status_code in (401, 422)
    if answer.status_code == 401:
        assert answer.json()["detail"] == "the user name or the password is wrong"


def test_a_good_token_made_with_another_session_is_refused(client: httpx.Client, log_in: LogIn) -> None:
    body = jwt.decode(log_in("ann")["Authorization"][7:], options={"verify_signature": False})
    header = {"alg": "HS256", "typ": "at+jwt"}
    assert me(client, jwt.encode(claims(sid=body["sid"]), SECRET, headers=header)) == 200
    assert me(client, jwt.encode(claims(), SECRET, headers=header)) == 401
    assert me(client, jwt.encode(claims(sid=body["sid"], sub="root"), SECRET, headers=header)) == 401


def test_forged_expired_and_odd_tokens_are_refused_alike(client: httpx.Client, log_in: LogIn) -> None:
    sid = jwt.decode(log_in("ann")["Authorization"][7:], options={"verify_signature": False})["sid"]
    good = {"alg": "HS256", "typ": "at+jwt"}
    now = int(time.time())

    def signed(header: dict[str, Any] | None = None, key: str = SECRET, algorithm: str = "HS256", **body: Any) -> str:
        return jwt.encode(claims(sid=sid, **body), key, algorithm, headers=header or good)

    without = [{name: value for name, value in claims(sid=sid).items() if name != left_out}
               for left_out in ("exp", "iat", "nbf", "iss", "aud", "sub", "jti", "sid")]  # fmt: skip
    hostile = [
        forged({"alg": "none", "typ": "at+jwt"}, claims(sid=sid)),
        forged({"alg": "nOnE", "typ": "at+jwt"}, claims(sid=sid)),
        signed(algorithm="HS512", key="j" * 80, header={"typ": "at+jwt", "alg": "HS512"}),
        signed(header={**good, "kid": "../../etc/passwd"}),
        signed(header={**good, "jku": "http://127.0.0.1:9/keys"}),
        signed(header={**good, "crit": ["exp"]}),
        signed(header={"alg": "HS256", "typ": "JWT"}),
        signed(key="k" * 40),
        signed(exp=now - 100),
        signed(nbf=now + 100),
        signed(iat=now + 100),
        signed(iss="another"),
        signed(aud="another"),
        signed(aud=["rain-tomorrow"]),
        *(jwt.encode(body, SECRET, headers=good) for body in without),
        "a.b.c",
    ]
    bodies = set()
    for token in hostile:
        answer = client.get("/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, token
        bodies.add(answer.json()["detail"])
    assert len(bodies) == 1
    assert me(client, signed()) == 200


@pytest.mark.parametrize("name", ["sub", "sid", "jti", "exp", "iat", "nbf"])
def test_a_required_claim_of_another_kind_is_refused(client: httpx.Client, log_in: LogIn, name: str) -> None:
    sid = jwt.decode(log_in("ann")["Authorization"][7:], options={"verify_signature": False})["sid"]
    body, now = claims(sid=sid), int(time.time())
    odd: list[Any] = [
        "",
        "\0",
        "a\0b",
        "\ud800",
        None,
        True,
        False,
        [],
        {},
        [body[name]],
        {"": body[name]},
        float("nan"),
    ]
    if name in ("sub", "sid", "jti"):
        odd += [0, 7, 1.5]
    else:
        odd += [str(now), str(now + 900), "soon", float("inf"), float("-inf"), 10**400 if name != "exp" else -(10**400)]
    header = {"alg": "HS256", "typ": "at+jwt"}
    answers = [
        client.get("/me", headers={"Authorization": f"Bearer {signed(header, {**body, name: value})}"}) for value in odd
    ]
    assert [answer.status_code for answer in answers] == [401] * len(odd)
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert me(client, signed(header, body)) == 200, "the same, without a defect"


def signed(header: dict[str, Any], body: dict[str, Any]) -> str:
    """A token made by hand: a library would refuse to write what it refuses to read."""
    unsigned = forged(header, body).rpartition(".")[0]
    mac = hmac.digest(SECRET.encode(), unsigned.encode(), "sha256")
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_what_answers_with_a_secret_may_be_stored_by_nobody(client: httpx.Client, log_in: LogIn) -> None:
    root = log_in("root")
    login = client.post("/token", data={"username": "ann", "password": PASSWORD})
    made = client.post("/admin/users", json={"username": "eve"}, headers=root)
    answers = [
        login,
        client.post("/token/refresh", json={"refresh_token": login.json()["refresh_token"]}),
        client.post("/me/keys", json={"label": "x"}, headers=root),
        made,
        client.patch("/admin/users/eve", json={"reset_password": True}, headers=root),
    ]
    assert [answer.is_success for answer in answers] == [True] * 5
    assert {answer.headers.get("cache-control") for answer in answers} == {"no-store"}


def test_a_token_edited_under_the_old_signature_is_refused(client: httpx.Client, log_in: LogIn) -> None:
    header, body, signature = log_in("ann")["Authorization"][7:].split(".")
    text = base64.urlsafe_b64decode(body + "==").replace(b'"ann"', b'"root"')
    edited = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    assert me(client, f"{header}.{edited}.{signature}") == 401


def test_a_refresh_token_is_no_access_token_and_the_reverse(client: httpx.Client) -> None:
    pair = client.post("/token", data={"username": "ann", "password": PASSWORD}).json()
    assert me(client, pair["refresh_token"]) == 401
    assert client.post("/token/refresh", json={"refresh_token": pair["access_token"]}).status_code == 401


def test_a_refresh_gives_a_new_pair_once_and_reuse_ends_the_session(client: httpx.Client, services: Services) -> None:
    first = client.post("/token", data={"username": "ann", "password": PASSWORD}).json()
    second = client.post("/token/refresh", json={"refresh_token": first["refresh_token"]}).json()
    assert me(client, second["access_token"]) == 200
    assert client.post("/token/refresh", json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert me(client, second["access_token"]) == 401
    assert client.post("/token/refresh", json={"refresh_token": second["refresh_token"]}).status_code == 401
    assert [entry["action"] for entry in services.audit.latest(1)] == ["refresh"]


def test_a_refreshed_session_can_be_refreshed_again(client: httpx.Client) -> None:
    pair = client.post("/token", data={"username": "ann", "password": PASSWORD}).json()
    for _ in range(3):
        answer = client.post("/token/refresh", json={"refresh_token": pair["refresh_token"]})
        assert answer.status_code == 200
        pair = answer.json()
    assert me(client, pair["access_token"]) == 200


def test_an_expired_session_neither_lets_in_nor_gives_a_token(client: httpx.Client, services: Services) -> None:
    pair = client.post("/token", data={"username": "ann", "password": PASSWORD}).json()
    with writing(services.users._engine) as connection:
        connection.execute(update(SESSIONS).values(expires_at=int(time.time())))
    assert me(client, pair["access_token"]) == 401
    assert client.post("/token/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 401


@pytest.mark.parametrize("scheme", ["Basic", "Token", "Bearer Bearer", ""])
def test_a_good_token_under_another_scheme_is_refused(client: httpx.Client, log_in: LogIn, scheme: str) -> None:
    token = log_in("ann")["Authorization"].removeprefix("Bearer ")
    assert client.get("/me", headers={"Authorization": f"{scheme} {token}".strip()}).status_code == 401
    assert client.get("/me", headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_of_two_refreshes_at_once_exactly_one_wins(client: httpx.Client) -> None:
    pair = client.post("/token", data={"username": "ann", "password": PASSWORD}).json()

    def refresh(_: int) -> int:
        return client.post("/token/refresh", json={"refresh_token": pair["refresh_token"]}).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(refresh, range(2))) == [200, 401]


def test_logout_kills_access_and_refresh_at_once(client: httpx.Client) -> None:
    pair = client.post("/token", data={"username": "ann", "password": PASSWORD}).json()
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    assert client.post("/logout", headers=bearer).status_code == 204
    assert client.get("/me", headers=bearer).status_code == 401
    assert client.post("/token/refresh", json={"refresh_token": pair["refresh_token"]}).status_code == 401


@pytest.mark.parametrize(("change", "status"), [("disabled", 401), ("deleted", 401), ("demoted", 403)])
def test_a_changed_account_is_seen_at_the_next_request(
    client: httpx.Client, services: Services, log_in: LogIn, change: str, status: int
) -> None:
    bearer = log_in("root")
    assert client.get("/admin/audit", headers=bearer).status_code == 200
    mine = USERS.c.username == "root"
    statement = {
        "disabled": update(USERS).where(mine).values(enabled=False),
        "deleted": delete(USERS).where(mine),
        "demoted": update(USERS).where(mine).values(role="user"),
    }[change]
    with writing(services.users._engine) as connection:
        connection.execute(statement)
    assert client.get("/admin/audit", headers=bearer).status_code == status


def test_logins_are_audited_without_the_password(client: httpx.Client, services: Services) -> None:
    client.post("/token", data={"username": "ann", "password": "canary-password"})
    (entry,) = services.audit.latest(1)
    assert (entry["actor"], entry["action"], entry["outcome"]) == ("ann", "login", "refused")
    assert "canary" not in str(dict(entry))
