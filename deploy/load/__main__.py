"""`python deploy/load`: load on the containers through their proxy, by locust; what it finds is told and written.

steps   more and more users, until it breaks: latencies, and what each service used for a request
kill    each container is killed in turn under load: which requests failed, and for how long
roll    both gateways and both model APIs are replaced under load: no request may fail
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from containers import REPOSITORY, logins, running, wait_until_well
from rich.console import Console
from rich.table import Table

LOCUST = Path(sys.executable).parent / "locust"
SETTLING_SECONDS = 10.0
"""Of each step, not looked at."""
QUIET_SECONDS = 10.0
"""Between what one fault broke and the next."""
MOST_FAILED, SLOWEST_P95_MS = 0.01, 1000.0
"""Beyond either, a step counts as broken."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True)

Gateway = Annotated[str, typer.Argument(help="such as https://localhost:8443")]
Report = Annotated[Path, typer.Option(help="where what was found is written")]


@dataclass(frozen=True)
class Request:
    """One request: when it ended (Unix seconds), how long it took, and why it failed, if it did."""

    at: float
    what: str
    ms: float
    status: int
    failed: str


@contextmanager
def locust(gateway: str, steps: list[int], seconds: float) -> Iterator[Callable[[], list[Request]]]:
    """The load runs meanwhile; what it has seen so far."""
    with tempfile.TemporaryDirectory() as folder:
        seen = Path(folder) / "seen.jsonl"
        environment = {
            **os.environ,
            "LOGINS": logins(),
            "CERTIFICATE": str(REPOSITORY / "tls/tls.crt"),
            "SEEN": str(seen),
            "STEPS": ",".join(map(str, steps)),
            "STEP_SECONDS": str(seconds),
        }
        log = Path(folder) / "log"
        command = [str(LOCUST), "--headless", "--only-summary", "--host", gateway, "--stop-timeout", "20"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--locustfile", str(Path(__file__).with_name("locustfile.py"))],
                env=environment,
                stdout=output,
                stderr=output,
            )

        def so_far() -> list[Request]:
            lines = seen.read_text(encoding="utf-8").splitlines() if seen.exists() else []
            return [Request(**json.loads(line)) for line in lines]

        try:
            with console.status("accounts for the load"):
                while not so_far():
                    if process.poll() is not None:
                        raise RuntimeError(log.read_text(encoding="utf-8")[-3000:])
                    time.sleep(0.5)
            yield so_far
        finally:
            process.terminate()
            process.wait(60)


@app.command()
def steps(
    gateway: Gateway,
    users: Annotated[str, typer.Option(help="of each step")] = "25,50,100,150,200,300,400",
    seconds: Annotated[float, typer.Option(help="of each step", min=15)] = 40,
    report: Report = Path("reports/load.json"),
) -> None:
    """More and more users, until one request in a hundred fails or the 95th percentile of forecasts is above 1 s.

    What a service uses while nobody asks is not counted among what a request costs it.
    """
    wanted = [int(each) for each in users.split(",")]
    found: list[dict[str, Any]] = []
    with console.status("what the services use while nobody asks"):
        began, used = time.monotonic(), {name: one.cpu_seconds() for name, one in running().items()}
        time.sleep(QUIET_SECONDS)
        idle = {name: (one.cpu_seconds() - used[name]) / (time.monotonic() - began) for name, one in running().items()}
    with locust(gateway, wanted, seconds) as so_far:
        for number in wanted:
            time.sleep(SETTLING_SECONDS)
            at, used = time.time(), {name: one.cpu_seconds() for name, one in running().items()}
            with console.status(f"{number} users"):
                time.sleep(seconds - SETTLING_SECONDS)
            requests, took = [one for one in so_far() if one.at >= at], time.time() - at
            spent = {name: one.cpu_seconds() - used[name] - idle[name] * took for name, one in running().items()}
            found.append(_step(number, requests, took, spent))
            if found[-1]["failed"] > MOST_FAILED or found[-1]["predict_ms"]["p95"] > SLOWEST_P95_MS:
                break
    _write(
        report,
        {
            "machine": f"{os.cpu_count()} CPUs, load and containers together",
            "idle_cpu_share": {
                name: round(share, 3) for name, share in sorted(idle.items(), key=lambda each: -each[1])
            },
            "steps": found,
        },
    )
    table = Table("users", "requests/s", "p50 ms", "p95 ms", "p99 ms", "failed", "CPU ms a request")
    for step in found:
        ms, used = step["predict_ms"], step["cpu_ms_a_request"]
        most = ", ".join(f"{name} {value}" for name, value in list(used.items())[:6])
        table.add_row(
            str(step["users"]),
            f"{step['requests_per_second']}",
            *(f"{ms[p]:.0f}" for p in ms),
            f"{step['failed']:.2%}",
            most,
        )
    console.print(table)


def _step(users: int, requests: list[Request], seconds: float, spent: dict[str, float]) -> dict[str, Any]:
    per_request = {name: round(1000 * value / max(len(requests), 1), 2) for name, value in spent.items()}
    kinds = sorted({one.what for one in requests})
    return {
        "users": users,
        "requests_per_second": round(len(requests) / seconds, 1),
        "failed": sum(bool(one.failed) for one in requests) / max(len(requests), 1),
        "predict_ms": _percentiles(requests, "POST /predict"),
        "by_kind_ms": {what: _percentiles(requests, what) for what in kinds},
        "cpu_ms_a_request": dict(sorted(per_request.items(), key=lambda each: -each[1])),
        "failures": Counter(f"{one.what} {one.status}" for one in requests if one.failed),
    }


def _percentiles(requests: list[Request], what: str) -> dict[str, float]:
    waits = sorted(one.ms for one in requests if one.what == what and not one.failed) or [0.0]
    return {f"p{p}": round(waits[min(len(waits) - 1, len(waits) * p // 100)], 1) for p in (50, 95, 99)}


@app.command()
def kill(
    gateway: Gateway,
    users: int = 25,
    services: Annotated[str, typer.Option(help="comma-separated; all that run if none is named")] = "",
    report: Report = Path("reports/kill.json"),
) -> None:
    """SIGKILL for each container in turn, under load; fails if one does not come back, or requests go on to fail."""
    names = services.split(",") if services else sorted(running())
    found: list[dict[str, Any]] = []
    with locust(gateway, [users], 3600) as so_far:
        time.sleep(QUIET_SECONDS)
        for name in names:
            container = running()[name]
            began = time.time()
            with console.status(f"{name} was killed"):
                container.kill()
                back = wait_until_well(container, 180)
                failed = _calm(so_far, began)
            kinds = Counter(f"{one.what} {one.status or one.failed}" for one in failed)
            found.append(
                {
                    "service": name,
                    "well_again_s": round(back, 1),
                    "failed": len(failed),
                    "requests": sum(one.at >= began for one in so_far()),
                    "failing_s": round(failed[-1].at - failed[0].at, 1) if failed else 0.0,
                    "failures": kinds,
                }
            )
            console.print(found[-1])
    _write(report, {"users": users, "killed": found})
    table = Table("killed", "well again, s", "requests", "failed", "failing for, s", "which")
    for one in found:
        which = ", ".join(f"{count} {what}" for what, count in one["failures"].items())
        table.add_row(
            one["service"], *(str(one[key]) for key in ("well_again_s", "requests", "failed", "failing_s")), which
        )
    console.print(table)


def _calm(so_far: Callable[[], list[Request]], began: float) -> list[Request]:
    """The failures since `began`, as soon as none came for QUIET_SECONDS; TimeoutError after three minutes."""
    last = time.time()
    while time.time() - began < 180:
        failed = [one for one in so_far() if one.failed and one.at >= began]
        if time.time() - max([last, *(one.at for one in failed)]) > QUIET_SECONDS:
            return failed
        time.sleep(1)
    raise TimeoutError(f"requests still fail: {failed[-1]}")


@app.command()
def roll(gateway: Gateway, users: int = 50, report: Report = Path("reports/roll.json")) -> None:
    """Replace every gateway and model API under load; fails if a request did."""
    with locust(gateway, [users], 3600) as so_far:
        time.sleep(QUIET_SECONDS)
        began = time.time()
        for service in ("api-model", "gateway"):
            subprocess.run([str(REPOSITORY / "deploy/containers/roll.sh"), service], check=True)
        time.sleep(QUIET_SECONDS)
        requests = [one for one in so_far() if one.at >= began]
    failures = Counter(f"{one.what} {one.status or one.failed}" for one in requests if one.failed)
    found = {
        "users": users,
        "seconds": round(time.time() - began),
        "requests": len(requests),
        "failures": failures,
        "predict_ms": _percentiles(requests, "POST /predict"),
    }
    _write(report, found)
    console.print(found)
    raise typer.Exit(1 if failures or not requests else 0)


def _write(report: Path, found: dict[str, Any]) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    app()
