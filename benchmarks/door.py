"""What the gateway costs: a prediction asked through it against the same asked of the model API directly, and against
the other ways to stand before it: nginx with `auth_request`, and the FastAPI and httpx proxy that everybody writes.

One worker each, the same model API behind all, everything on; only the bench user's limit of predictions is raised.
"""

import json
import shutil
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import jwt
from measure import ratio
from rich.console import Console
from rich.progress import Progress
from serving import SECRET, Contender, free_port, ours, prepared, running, wrk

from gateway.users import Users
from meteo.runtime.database import connect

ROUNDS = 5
CONNECTIONS = (1, 8, 32)
DOORS = Path(__file__).with_name("doors").absolute()
JWT_SECRET = "door" * 10
USER, PASSWORD = "bench", "correct horse battery staple"
DIRECT, GATEWAY, NGINX, PROXY = "direct", "gateway", "nginx auth_request", "FastAPI + httpx proxy"


def run(history: Path, console: Console) -> dict[str, Any]:
    """Requests per second and latency of each door, and the ratios."""
    for program, package in (("wrk", "wrk"), ("nginx", "nginx-light")):
        if shutil.which(program) is None:
            raise SystemExit(f"the benchmark of the gateway needs {program}: apt-get install {package}")
    with prepared(history, console) as home:
        return compare(home, console)


def compare(home: Path, console: Console) -> dict[str, Any]:
    """The same in a prepared home."""
    users = Users(connect(f"sqlite:///{home / 'gateway.db'}"))
    users.create_tables()
    if users.get(USER) is None:
        users.add(USER, PASSWORD, "user")
    doors = _doors(home)
    found: dict[str, dict[int, list[dict[str, float]]]] = {}
    facts: dict[str, dict[str, float]] = {}
    with running(doors, facts, console):
        asked = [door for door in doors if door.path == "/predict"]
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("wrk", total=ROUNDS * len(CONNECTIONS) * len(asked))
            for _ in range(ROUNDS):
                for connections in CONNECTIONS:
                    for door in asked:
                        measured = wrk(door, connections, home)
                        found.setdefault(door.name, {}).setdefault(connections, []).append(measured)
                        progress.advance(bar)
    return _report(found)


def _doors(home: Path) -> list[Contender]:
    direct = ours(home, json.loads((home / "asked.json").read_text(encoding="utf-8")))[0]
    secrets = {"METEO_SERVICE_SECRET": SECRET, "JWT_SECRET": JWT_SECRET}
    behind = f"http://127.0.0.1:{direct.port}"
    ports = {name: free_port() for name in (GATEWAY, NGINX, PROXY, "validator")}
    configuration = (DOORS / "nginx.conf").read_text(encoding="utf-8")
    for name, value in (
        ("FOLDER", home),
        ("MODEL", direct.port),
        ("VALIDATOR", ports["validator"]),
        ("PORT", ports[NGINX]),
    ):
        configuration = configuration.replace(name, str(value))
    (home / "nginx.conf").write_text(configuration, encoding="utf-8")
    gateway = {
        "METEO_HOME": str(home),
        "METEO_SERVICE_SECRET": SECRET,
        "METEO_GATEWAY__JWT_SECRET": JWT_SECRET,
        "METEO_GATEWAY__PORT": str(ports[GATEWAY]),
        "METEO_GATEWAY__PREDICTIONS_USER": "1000000/second",
        "METEO_API_MODEL__PORT": str(direct.port),
    }
    session = Session(f"http://127.0.0.1:{ports[GATEWAY]}")

    def signed() -> dict[str, str]:
        claims = {"sub": USER, "exp": int(time.time()) + 900}
        return {"Authorization": f"Bearer {jwt.encode(claims, JWT_SECRET, algorithm='HS256')}"}

    def door(
        name: str, command: list[str], environment: dict[str, str], shown: Any, path: str = "/predict", well: int = 200
    ) -> Contender:
        return Contender(name, command, path, direct.body, home, environment, ports[name], shown=shown, well=well)

    python = sys.executable
    return [
        Contender(DIRECT, direct.command, "/predict", direct.body, home, direct.environment, direct.port, ours=True),
        door(
            "validator",
            [python, str(DOORS / "validator.py")],
            {**secrets, "PORT": str(ports["validator"])},
            signed,
            path="/",
            well=204,
        ),
        door(GATEWAY, [python, "-m", "gateway"], gateway, session.headers),
        door(NGINX, ["nginx", "-c", str(home / "nginx.conf"), "-p", str(home)], {}, signed),
        door(
            PROXY, [python, str(DOORS / "proxy.py")], {**secrets, "PORT": str(ports[PROXY]), "BEHIND": behind}, signed
        ),
    ]


class Session:
    """Logged in to the gateway, by and by again."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._until = 0.0
        self._token = ""

    def headers(self) -> dict[str, str]:
        if time.time() > self._until:
            pair = httpx.post(f"{self._address}/token", data={"username": USER, "password": PASSWORD}).json()
            self._token, self._until = pair["access_token"], time.time() + pair["expires_in"] / 2
        return {"Authorization": f"Bearer {self._token}"}


def _report(found: dict[str, dict[int, list[dict[str, float]]]]) -> dict[str, Any]:
    ratios, notes = {}, []
    for rival in (DIRECT, NGINX, PROXY):
        for connections in CONNECTIONS:
            one, other = ([row["rps"] for row in found[name][connections]] for name in (GATEWAY, rival))
            goal = {(DIRECT, 32): "≥ 0.5", (PROXY, 32): "≥ 8"}.get((rival, connections), "")
            ratios[f"requests/s, {connections} conn. / {rival}"] = ratio(one, other, rival, goal, "per_second")
    p50 = {name: [row["p50_ms"] for row in by[1]] for name, by in found.items()}
    added, by_nginx = (
        [one - direct for one, direct in zip(p50[name], p50[DIRECT], strict=True)] for name in (GATEWAY, NGINX)
    )
    ratios["p50 added at 1 conn. / nginx"] = ratio(added, by_nginx, NGINX, "≤ 1.75", "ms")
    notes.append(f"p50 added at one connection: {median(added):.3f} ms (≤ 0.35; {min(added):.3f} to {max(added):.3f})")
    for name, by in found.items():
        middle = {c: {key: median(row[key] for row in rows) for key in rows[0]} for c, rows in by.items()}
        notes.append(
            f"{name}: "
            + "; ".join(
                f"{middle[c]['rps']:.0f}/s at {c} (p50 {middle[c]['p50_ms']:.2f}, p99 {middle[c]['p99_ms']:.2f} ms)"
                for c in CONNECTIONS
            )
        )
    return {"ratios": ratios, "notes": notes}
