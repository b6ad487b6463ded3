"""Single-row requests to the model API against what else serves an XGBoost model, the same one for all.

Each contender is one worker on a loopback port and all run at once; wrk asks them in turns, so that what else the
machine does hits all alike. Ours takes a day's readings and builds the features; the rivals are given the finished X.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil
from measure import ratio
from rich.console import Console
from rich.progress import Progress

from meteo.runtime.service_tokens import Caller, ServiceTokens

ROUNDS = 5
SECONDS = 3
CONNECTIONS = (1, 8, 32)
RIVALS = Path(__file__).with_name("rivals")
ENVIRONMENTS = Path(".bench")
SECRET = "bench" * 8
READY_SECONDS = 120
GOALS = {
    # against: with the log on at 1 and 32 connections, with the log off at 1 and 32
    "mlflow models serve": ((15, 30), (20, 40)),
    "MLServer": ((2.5, 4), (3, 5)),
    "parse and return": ((0.4, 0.4), (0.5, 0.5)),
}


@dataclass(frozen=True)
class Contender:
    """A server: how it is started and what it is asked."""

    name: str
    command: list[str]
    path: str
    body: Any
    folder: Path
    environment: dict[str, str]
    port: int
    ours: bool = False
    shown: Callable[[], dict[str, str]] | None = None
    well: int = 200

    @property
    def headers(self) -> dict[str, str]:
        """Ours wants a service token, which lives for two minutes; another what it is `shown`."""
        if self.shown is not None:
            return self.shown()
        caller = Caller("bench", "user", "gateway")
        return {"Authorization": f"Bearer {ServiceTokens(SECRET).issue(caller)}"} if self.ours else {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"


def run(history: Path, console: Console) -> dict[str, Any]:
    """Requests per second, latency, memory and start of each, and the ratios."""
    if shutil.which("wrk") is None:
        raise SystemExit("the serving benchmark needs wrk: apt-get install wrk")
    with prepared(history, console) as home:
        return compare(home, console)


@contextmanager
def prepared(history: Path, console: Console) -> Iterator[Path]:
    """A home with the history's store and a model trained on it."""
    with tempfile.TemporaryDirectory() as folder:
        with console.status("training the model that is served"):
            prepare = [sys.executable, str(Path(__file__).with_name("prepare.py")), str(history), folder]
            subprocess.run(prepare, check=True, stdout=subprocess.DEVNULL)
        yield Path(folder)


def compare(home: Path, console: Console) -> dict[str, Any]:
    """The same in a prepared home."""
    asked = json.loads((home / "asked.json").read_text(encoding="utf-8"))
    contenders = [*ours(home, asked), *_rivals(home, asked, console)]
    found: dict[str, dict[int, list[dict[str, float]]]] = {}
    facts: dict[str, dict[str, float]] = {}
    with running(contenders, facts, console):
        for contender in contenders:
            if contender.path != "/parse":
                _verify(contender, asked["probability"] if contender.ours else asked["filled_probability"])
        with Progress(console=console, transient=True) as progress:
            bar = progress.add_task("wrk", total=ROUNDS * len(CONNECTIONS) * len(contenders))
            for _ in range(ROUNDS):
                for connections in CONNECTIONS:
                    for contender in contenders:
                        measured = wrk(contender, connections, home)
                        found.setdefault(contender.name, {}).setdefault(connections, []).append(measured)
                        progress.advance(bar)
        for contender in contenders:
            facts[contender.name]["mb"] = _memory_mb(int(facts[contender.name]["pid"]))
    return _report(found, facts)


def ours(home: Path, asked: dict[str, Any]) -> list[Contender]:
    contenders = []
    for name, program, path in (
        ("ours", ["-m", "api_model"], "/predict"),
        ("ours, log off", [str(Path(__file__).with_name("unlogged.py"))], "/predict"),
        ("parse and return", [str(Path(__file__).with_name("unlogged.py"))], "/parse"),
    ):
        port = free_port()
        environment = {
            "METEO_HOME": str(home),
            "METEO_SERVICE_SECRET": SECRET,
            "METEO_MODELS_SECRET": SECRET,
            "METEO_API_MODEL__PORT": str(port),
            "METEO_MLFLOW__PORT": "9",
            "METEO_API_MODEL__POLL_SECONDS": "3600",
        }
        command = [sys.executable, *program]
        contenders.append(Contender(name, command, path, asked["request"], Path(), environment, port, ours=True))
    return contenders


def _rivals(home: Path, asked: dict[str, Any], console: Console) -> list[Contender]:
    row, width = asked["filled"], len(asked["filled"])
    tensor = {"name": "x", "shape": [1, width], "datatype": "FP32", "data": row}
    bodies: dict[str, tuple[str, str, Any]] = {
        "mlflow": (
            "mlflow models serve",
            "/invocations",
            {"dataframe_split": {"columns": asked["names"], "data": [row]}},
        ),
        "mlserver": ("MLServer", "/v2/models/rain/infer", {"inputs": [tensor]}),
        "bentoml": ("BentoML", "/predict", {"rows": [row]}),
        "litserve": ("LitServe", "/predict", {"rows": [row]}),
        "fastapi": ("plain FastAPI", "/predict", {"columns": asked["names"], "data": [row]}),
    }
    contenders = []
    for folder, (name, path, body) in bodies.items():
        python = _environment(folder, console)
        port = free_port()
        environment = {
            "PORT": str(port),
            "MODEL": str(home / "rival.ubj"),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{python.parent}:{os.environ['PATH']}",
        }
        work = home / folder
        shutil.copytree(RIVALS / folder, work)
        contenders.append(Contender(name, [str(python), "serve.py"], path, body, work, environment, port))
    return contenders


def _environment(name: str, console: Console) -> Path:
    """The rival's own Python, installed from its pins when they have changed."""
    folder, pins = ENVIRONMENTS / name, (RIVALS / name / "requirements.txt").read_text(encoding="utf-8")
    installed = folder / "installed.txt"
    python = (folder / "bin/python").absolute()
    if not installed.exists() or installed.read_text(encoding="utf-8") != pins:
        uv = ".venv-tools/bin/uv"
        with console.status(f"installing {name}"):
            subprocess.run([uv, "venv", "-q", "--clear", "--python", "3.11", str(folder)], check=True)
            subprocess.run(
                [uv, "pip", "install", "-q", "--python", str(python), "-r", str(RIVALS / name / "requirements.txt")],
                check=True,
            )
        installed.write_text(pins, encoding="utf-8")
    return python


@contextmanager
def running(contenders: list[Contender], facts: dict[str, dict[str, float]], console: Console) -> Iterator[None]:
    """All contenders, each started alone and timed until it answers."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for contender in contenders:
            with console.status(f"starting {contender.name}"):
                log = Path(contender.environment.get("METEO_HOME", contender.folder)) / f"{contender.port}.log"
                began = time.perf_counter()
                with log.open("wb") as output:
                    process = subprocess.Popen(
                        contender.command,
                        cwd=contender.folder,
                        env={**os.environ, **contender.environment},
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                processes.append(process)
                _await(contender, process, log)
                facts[contender.name] = {"start_seconds": time.perf_counter() - began, "pid": float(process.pid)}
        yield
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(contender: Contender, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if (
                httpx.post(
                    contender.url, json=contender.body, headers=contender.headers, timeout=20, trust_env=False
                ).status_code
                == contender.well
            ):
                return
        except httpx.HTTPError:
            pass  # not listening yet
        time.sleep(0.02)
    raise RuntimeError(f"{contender.name} does not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _verify(contender: Contender, expected: float) -> None:
    """Whoever is fast must also be right."""
    answer = httpx.post(contender.url, json=contender.body, headers=contender.headers, timeout=20, trust_env=False)
    probability = next(_numbers(answer.json()))
    if abs(probability - expected) > 1e-5:
        raise RuntimeError(f"{contender.name} answers {probability}, where {expected} is right")


def _numbers(found: Any) -> Iterator[float]:
    """The probability in whatever form it is answered: the field of that name, or the first list's last number."""
    if isinstance(found, dict):
        for name in ("probability", "predictions", "data", "outputs"):
            if name in found:
                yield from _numbers(found[name])
    elif isinstance(found, list):
        yield from _numbers(found[-1])
    elif isinstance(found, float):
        yield found


def wrk(contender: Contender, connections: int, folder: Path) -> dict[str, float]:
    script = folder / f"{contender.port}.lua"
    headers = {"Content-Type": "application/json", **contender.headers}
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    body = json.dumps(contender.body)
    script.write_text("\n".join(['wrk.method = "POST"', f"wrk.body = [==[{body}]==]", *lines, _SAY]), encoding="utf-8")
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script), contender.url],
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if measured.pop("errors"):
        raise RuntimeError(f"{contender.name} failed requests at {connections} connections:\n{done.stdout}")
    return measured


_SAY = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"rps": %.3f, "p50_ms": %.4f, "p99_ms": %.4f, "errors": %d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def _memory_mb(pid: int) -> float:
    """Resident memory of a server and its children."""
    process = psutil.Process(pid)
    resident = sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))
    return resident / 1e6


def _report(found: dict[str, dict[int, list[dict[str, float]]]], facts: dict[str, dict[str, float]]) -> dict[str, Any]:
    ratios, servers, notes = {}, {}, []
    for column, ours in enumerate(("ours", "ours, log off")):
        for rival in (name for name in found if not name.startswith("ours")):
            for connections in CONNECTIONS:
                goal = ""
                if rival in GOALS and connections in (1, 32):
                    goal = f"≥ {GOALS[rival][column][connections == 32]}"
                one, other = ([row["rps"] for row in found[name][connections]] for name in (ours, rival))
                ratios[f"{ours} / {rival}, {connections} conn."] = ratio(one, other, rival, goal, "per_second")
    for name, by in found.items():
        fact = {"mb": round(facts[name]["mb"]), "start_seconds": round(facts[name]["start_seconds"], 2)}
        middle = {c: {key: round(median(row[key] for row in rows), 3) for key in rows[0]} for c, rows in by.items()}
        tail = round(middle[32]["p99_ms"] / middle[32]["p50_ms"], 2)
        servers[name] = {**fact, "p99_over_p50_at_32": tail, "by_connections": middle}
        speeds = ", ".join(f"{middle[c]['rps']:.0f}/s at {c}" for c in CONNECTIONS)
        notes.append(f"{name}: {speeds}; p99/p50 at 32 {tail}; {fact['mb']} MB; start {fact['start_seconds']} s")
    return {"ratios": ratios, "servers": servers, "notes": notes}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
