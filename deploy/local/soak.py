"""A long mixed load on a running system, whose model API is killed meanwhile; what must hold is then checked.

Many users log in, ask and log out, some of them by API keys at full speed, while an admin looks on and triggers.
"""

import asyncio
import itertools
import json
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import aiohttp
import numpy as np
import typer
from machine import Machine
from rich.console import Console
from rich.progress import Progress, TextColumn
from sqlalchemy import select
from supervision import memory_mb

from meteo.forecasts.tables import PREDICTIONS
from meteo.runtime.database import connect
from meteo.station import stations

PREFIX = "soak-"
DICE = np.random.default_rng()
PROGRAMS = 10
RESTARTS = (0.25, 0.5, 0.75)
"""When the model API is killed, as parts of the whole time."""
SETTLING_SECONDS = 6.0
"""How long after it is ready again the gateway may still spare it: its breaker's time and a probe."""
GROWTH_MB = 20.0
"""What the gateway's memory may differ between the second and the last tenth of the time."""


@dataclass
class Target:
    """The system under load: how it is reached, how its model API is killed and waited for, what it holds."""

    gateway: str
    admin: dict[str, str]
    kill: Callable[[], None]
    ready: Callable[[], bool]
    memory_mb: Callable[[], float]
    logged: Callable[[], set[str]]
    triggers: bool = True


@dataclass
class Seen:
    """What happened."""

    codes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    failures: list[tuple[float, str]] = field(default_factory=list)
    windows: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)

    def told(self, what: str, status: int, began: float) -> None:
        self.codes[f"{what} {status}"] += 1
        if status >= 500:
            self.failures.append((began, f"{what} {status}"))


class Person:
    """Somebody with an account, who asks the gateway."""

    def __init__(self, session: aiohttp.ClientSession, target: Target, seen: Seen, username: str) -> None:
        self._session = session
        self._target = target
        self._seen = seen
        self.username = username
        self.password = ""
        self.bearer = ""

    async def call(self, method: str, path: str, what: str = "", **options: Any) -> tuple[int, Any]:
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        async with self._session.request(method, self._target.gateway + path, headers=headers, **options) as answer:
            text = await answer.text()
            self._seen.told(what or f"{method} {path.partition('?')[0]}", answer.status, began)
            body: Any = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
            if path == "/predict" and answer.status == 200:
                self._seen.seconds.append(time.monotonic() - began)
                self._seen.answered.append(body["prediction_id"])
            return answer.status, body

    async def log_in(self) -> bool:
        self.bearer = ""
        status, body = await self.call("POST", "/token", data={"username": self.username, "password": self.password})
        self.bearer = body["access_token"] if status == 200 else ""
        return status == 200

    async def begin(self, admin: "Person") -> None:
        """Get an account, or a new password for the one there is, and change it as one must."""
        asked = {"username": self.username, "role": "user"}
        status, made = await admin.call("POST", "/admin/users", json=asked)
        if status == 409:
            path = f"/admin/users/{self.username}"
            status, made = await admin.call("PATCH", path, "PATCH /admin/users/{}", json={"reset_password": True})
        self.password = made["password"]
        fresh = f"rain and {secrets.token_hex(8)} shine"
        await self.log_in()
        await self.call("POST", "/me/password", json={"current": self.password, "new": fresh})
        self.password = fresh
        await self.log_in()

    async def predict(self) -> None:
        known = {"humidity_3pm": int(DICE.integers(20, 100)), "pressure_3pm": int(DICE.integers(990, 1030))}
        asked = {"station": str(DICE.choice(list(stations()))), "date": "2016-06-01", "observation": known}
        status, _ = await self.call("POST", "/predict", json=asked)
        if status == 401:
            await self.log_in()

    async def live(self, ends: float) -> None:
        """A user: asks every few seconds, looks at the map now and then, logs out and in."""
        for turn in itertools.count():
            await asyncio.sleep(DICE.uniform(2, 12))
            if time.monotonic() > ends:
                return
            await self.predict()
            if turn % 6 == 3:
                await self.call("GET", "/forecast")
            if turn % 8 == 5:
                await self.call("POST", "/logout")
                await self.log_in()

    async def work(self, ends: float) -> None:
        """A program with an API key: nine predictions a second, and a batch now and then."""
        _, made = await self.call("POST", "/me/keys", json={"label": "soak"})
        self.bearer = made["key"]
        for turn in itertools.count():
            await asyncio.sleep(1 / 9)
            if time.monotonic() > ends:
                return
            await self.predict()
            if turn % 100 == 50:
                rows = [{"station": name, "date": "2016-06-01", "observation": {"rainfall": 1}} for name in stations()]
                await self.call("POST", "/predict/batch", json=rows * 10)


async def _administer(admin: Person, target: Target, ends: float) -> None:
    while time.monotonic() < ends:
        await admin.call("GET", "/admin/audit?limit=50")
        await admin.call("GET", "/admin/users")
        if target.triggers:
            await admin.call("POST", "/admin/monitoring")
            await admin.call("GET", "/admin/runs?dag=monitoring")
        await asyncio.sleep(10)
        await admin.log_in()


def _kill(target: Target) -> None:
    target.kill()
    while not target.ready():
        time.sleep(0.1)


async def _break(target: Target, seen: Seen, began: float, seconds: float) -> None:
    for part in RESTARTS:
        await asyncio.sleep(max(0.0, began + part * seconds - time.monotonic()))
        killed = time.monotonic()
        await asyncio.to_thread(_kill, target)
        seen.windows.append((killed - 1, time.monotonic() + SETTLING_SECONDS))


async def _watch(target: Target, seen: Seen, began: float, ends: float, bar: Callable[..., None]) -> None:
    while time.monotonic() < ends:
        seen.memory.append((time.monotonic() - began, target.memory_mb()))
        bar(completed=time.monotonic() - began, said=f"{len(seen.answered):,} predictions")
        await asyncio.sleep(1)


async def _load(target: Target, seconds: float, users: int, bar: Callable[..., None]) -> Seen:
    seen = Seen()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        admin = Person(session, target, seen, target.admin["username"])
        admin.password = target.admin["password"]
        await admin.log_in()
        people = [Person(session, target, seen, f"{PREFIX}{number}") for number in range(users)]
        bar(total=users, said="accounts")
        for number, person in enumerate(people):
            await person.begin(admin)
            bar(completed=number + 1)
        began = time.monotonic()
        ends = began + seconds
        bar(total=seconds, completed=0)
        await asyncio.gather(
            *(person.work(ends) if number < PROGRAMS else person.live(ends) for number, person in enumerate(people)),
            _administer(admin, target, ends),
            _break(target, seen, began, seconds),
            _watch(target, seen, began, ends, bar),
        )
        await admin.log_in()
        for person in people:
            await admin.call("DELETE", f"/admin/users/{person.username}", "DELETE /admin/users/{}")
    return seen


def run(target: Target, seconds: float, users: int, bar: Callable[..., None] = lambda **_: None) -> dict[str, Any]:
    """Put `target` under load; what was seen, and under `broken` each promise that did not hold."""
    seen = asyncio.run(_load(target, seconds, users, bar))
    lost = set(seen.answered) - target.logged()
    outside = [what for at, what in seen.failures if not any(low <= at <= high for low, high in seen.windows)]
    others = [what for _, what in seen.failures if not what.endswith((" 502", " 503", " 504"))]
    early = _of(seen.memory, 0.1 * seconds, 0.2 * seconds)
    late = _of(seen.memory, 0.9 * seconds, seconds)
    broken: dict[str, list[Any]] = {
        "5xx outside of the restarts": outside,
        "5xx other than 502, 503, 504": others,
        "answered predictions that are not in the log": sorted(lost),
        "growth of the gateway's memory, MB": [late - early] if late - early > GROWTH_MB else [],
        "nothing was answered": [] if seen.answered else [0],
    }
    waits = sorted(seen.seconds) or [0.0]
    return {
        "seconds": seconds,
        "users": users,
        "requests": sum(seen.codes.values()),
        "predictions": len(seen.answered),
        "codes": dict(sorted(seen.codes.items())),
        "predict_ms": {"p50": _ms(waits, 0.5), "p99": _ms(waits, 0.99), "max": _ms(waits, 1)},
        "gateway_mb": {"early": round(early, 1), "late": round(late, 1)},
        "restarts_seconds": [round(high - low - 1 - SETTLING_SECONDS, 1) for low, high in seen.windows],
        "broken": {name: found[:20] for name, found in broken.items() if found},
    }


def _of(samples: Iterable[tuple[float, float]], low: float, high: float) -> float:
    return median([value for at, value in samples if low <= at <= high] or [0.0])


def _ms(waits: list[float], part: float) -> float:
    return round(1000 * waits[min(len(waits) - 1, int(part * len(waits)))], 1)


def main(
    home: Annotated[Path, typer.Option(envvar="METEO_HOME")] = Path("data"),
    seconds: Annotated[float, typer.Option(min=20)] = 600,
    users: Annotated[int, typer.Option(min=PROGRAMS, max=1000)] = 200,
    report: Path = Path("reports/soak.json"),
) -> None:
    """Load the running system of `home`; fails when a promise is broken."""
    machine = Machine(home)

    def pid(program: str) -> int:
        return int(machine.supervision.states()[program]["pid"])

    def kill() -> None:
        os.kill(pid("api-model"), signal.SIGKILL)

    def logged() -> set[str]:
        with connect(machine.settings.predictions_url).connect() as connection:
            return set(connection.scalars(select(PREDICTIONS.c.prediction_id)))

    admin = json.loads((machine.home.folder / "credentials.json").read_text(encoding="utf-8"))["admin"]
    target = Target(
        machine.settings.gateway.address,
        admin,
        kill,
        partial(machine.ready, "api-model"),
        lambda: memory_mb(pid("gateway")),
        logged,
    )
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("load", total=None, said="")
        found = run(target, seconds, users, lambda **told: bars.update(task, **told))
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    typer.echo(json.dumps(found, indent=1))
    raise typer.Exit(1 if found["broken"] else 0)


if __name__ == "__main__":
    typer.run(main)
