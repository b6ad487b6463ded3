"""People, programs and an admin at the gateway, in the mix of a working day: 100 requests are about 60 forecasts, 12
maps, 12 looks back, 4 logins, 8 batches of 49 stations and 4 looks of the admin.

Environment: LOGINS, the first logins as JSON; CERTIFICATE, the proxy's; SEEN, where each request is written as a line
of JSON; STEPS, numbers of users, and STEP_SECONDS, how long each of them.
"""

import json
import os
import random
import secrets
import ssl
import time
from pathlib import Path
from typing import Any

import httpx
from locust import FastHttpUser, LoadTestShape, between, constant_pacing, events, task

ACCOUNTS = 40
ADMIN_SECONDS = 600
"""Less than an access token lives."""
DAY = "2025-09-01"

_TRUST = ssl.create_default_context(cafile=os.environ.get("CERTIFICATE") or None)
_STEPS = [int(users) for users in os.environ.get("STEPS", "50").split(",")]
_STEP_SECONDS = float(os.environ.get("STEP_SECONDS", "60"))
_known: list[tuple[str, str, str]] = []
"""Name, password and API key of each account that plays people."""
_admin: dict[str, Any] = {"bearer": "", "until": 0.0}
"""The admin's session, and when to begin the next one."""
_stations: list[str] = []


@events.test_start.add_listener
def _begin(environment: Any, **_: Any) -> None:
    """Accounts are made as an admin and new people do it: each changes the first password and makes a key."""
    with _client(environment.host) as admin, _client(environment.host) as person:
        _log_in(admin, **json.loads(os.environ["LOGINS"])["admin"])
        _stations.extend(place["name"] for place in admin.get("/stations").raise_for_status().json())
        for number in range(ACCOUNTS):
            name = f"load-{number}-{secrets.token_hex(3)}"
            made = admin.post("/admin/users", json={"username": name, "role": "user"}).raise_for_status().json()
            _log_in(person, name, made["password"])
            password = f"rain and {secrets.token_hex(8)} shine"
            person.post("/me/password", json={"current": made["password"], "new": password}).raise_for_status()
            _log_in(person, name, password)
            key = person.post("/me/keys", json={"label": "load"}).raise_for_status().json()["key"]
            _known.append((name, password, key))


@events.test_stop.add_listener
def _end(environment: Any, **_: Any) -> None:
    with _client(environment.host) as admin:
        _log_in(admin, **json.loads(os.environ["LOGINS"])["admin"])
        for name, _password, _key in _known:
            admin.delete(f"/admin/users/{name}").raise_for_status()


def _client(host: str) -> httpx.Client:
    return httpx.Client(base_url=host, verify=_TRUST, trust_env=False, timeout=60)


def _log_in(client: httpx.Client, username: str, password: str) -> None:
    client.headers.pop("Authorization", None)
    answer = client.post("/token", data={"username": username, "password": password}).raise_for_status()
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


class Asking(FastHttpUser):
    """Somebody with an account."""

    abstract = True
    insecure = False
    ssl_context_factory = staticmethod(lambda: _TRUST)

    def on_start(self) -> None:
        self.username, self.password, self.key = random.choice(_known)
        self.bearer = {"Authorization": f"Bearer {self.key}"}

    def look(self, path: str, name: str = "") -> None:
        self.client.get(path, headers=self.bearer, name=name or path)

    def somewhere(self) -> str:
        return random.choice(_stations)


class Person(Asking):
    """Asks about once a second, so that each stands for some ten people of a working day."""

    weight = 86
    wait_time = between(0.5, 1.5)

    @task(60)
    def forecast(self) -> None:
        known = {"humidity_3pm": random.randint(20, 100), "pressure_3pm": random.randint(990, 1030)}
        body = {"station": self.somewhere(), "date": DAY, "observation": known}
        self.client.post("/predict", json=body, headers=self.bearer)

    @task(12)
    def map(self) -> None:
        self.look("/forecast")

    @task(8)
    def look_back(self) -> None:
        self.look(f"/stations/{self.somewhere()}/observations", "/stations/{}/observations")

    @task(4)
    def own_forecasts(self) -> None:
        self.look("/predictions?limit=20", "/predictions")

    @task(4)
    def log_in(self) -> None:
        self.client.post("/token", data={"username": self.username, "password": self.password})


class Program(Asking):
    """Asks for all stations at once."""

    weight = 10
    wait_time = constant_pacing(1)

    @task
    def batch(self) -> None:
        rows = [{"station": name, "date": DAY, "observation": {"rainfall": 1.0}} for name in _stations]
        self.client.post("/predict/batch", json=rows, headers=self.bearer)


class Admin(Asking):
    """Looks at what an admin looks at."""

    weight = 4
    wait_time = constant_pacing(1)

    @task
    def desk(self) -> None:
        if time.time() > _admin["until"]:
            _admin["until"] = time.time() + ADMIN_SECONDS  # first, so that of all admins one logs in
            login = json.loads(os.environ["LOGINS"])["admin"]
            _admin["bearer"] = self.client.post("/token", data=login).json()["access_token"]
        self.bearer = {"Authorization": f"Bearer {_admin['bearer']}"}
        pages = ("audit?limit=50", "users", "runs?dag=ingestion", "models", "drift", "quality")
        self.look(f"/admin/{random.choice(pages)}", "/admin/…")


class Steps(LoadTestShape):
    """The STEPS, each for STEP_SECONDS."""

    def tick(self) -> tuple[int, float] | None:
        step = int(self.get_run_time() // _STEP_SECONDS)
        return (_STEPS[step], 50) if step < len(_STEPS) else None


_seen = Path(os.environ["SEEN"]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 # until the process ends


@events.request.add_listener
def _told(request_type: str, name: str, response_time: float, exception: Any, response: Any, **_: Any) -> None:
    status = getattr(response, "status_code", 0)
    failed = str(exception)[:200] if exception else ""
    row = {"at": time.time(), "what": f"{request_type} {name}", "ms": response_time, "status": status, "failed": failed}
    _seen.write(json.dumps(row) + "\n")
