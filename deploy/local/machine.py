"""`make up`, `make down`, `make status`, `make logs`: the whole system on one machine."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import observability
import typer
from home import REPOSITORY, Home, HomeError
from rich.console import Console
from rich.table import Table
from rich.text import Text
from supervision import Supervision, memory_mb

from ingest.months import months_before
from meteo.archive.store import ObservationStore
from meteo.models.registry import Registry
from meteo.runtime.database import connect
from meteo.runtime.settings import Service, Settings

DEMO_MONTHS = 15
READY_SECONDS = 180

console = Console(stderr=True)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Machine:
    """One home's services."""

    def __init__(self, folder: Path, history: str = "", observed: bool = False, prepare: bool = False) -> None:
        self.home = Home(folder)
        if prepare:
            self.home.decide(history, os.environ, observed)
        environment = self.home.environment(os.environ)
        os.environ.clear()
        os.environ.update(environment)
        if self.home.secrets.is_dir():
            os.environ["METEO_SECRETS"] = str(self.home.secrets / "train")
        self.settings = Settings()
        os.environ.update(_addresses(self.settings, self.home.observed))
        if self.home.observed:
            os.environ.update(observability.programs(), ALERTMANAGER_URL=self.settings.alertmanager.address)
            observability.write_files(self.home.folder / "observability", self.settings)
        self.supervision = Supervision(
            self.home.socket, {name: value for name, value in os.environ.items() if name != "METEO_SECRETS"}
        )

    @property
    def services(self) -> dict[str, tuple[Service | None, str]]:
        """Programs in starting order: where each listens and the address that says it is ready; none where running
        is all there is to it."""
        known = self.settings
        services: dict[str, tuple[Service | None, str]] = {
            "mlflow": (known.mlflow, f"{known.mlflow.address}/health"),
            "airflow-api-server": (known.airflow, f"{known.airflow.address}/api/v2/monitor/health"),
            "airflow-scheduler": (None, f"{known.airflow.address}/api/v2/monitor/health"),
            "airflow-dag-processor": (None, f"{known.airflow.address}/api/v2/monitor/health"),
            "tidy": (None, ""),
            "api-model": (known.api_model, f"{known.api_model.address}/health/ready"),
            "gateway": (known.gateway, f"{known.gateway.address}/health/ready"),
            "console": (known.console, f"{known.console.address}/_stcore/health"),
        }
        if self.home.observed:
            services |= {
                "node-exporter": (known.node_exporter, f"{known.node_exporter.address}/metrics"),
                "alertmanager": (known.alertmanager, f"{known.alertmanager.address}/-/ready"),
                "prometheus": (known.prometheus, f"{known.prometheus.address}/-/ready"),
            }
        if known.ingest.source == "demo":
            url = httpx.URL(known.ingest.demo_url)
            demo = Service(host=url.host, port=url.port or 80)
            return {"demo": (demo, f"{known.ingest.demo_url}/health"), **services}
        return services

    def start(self, *names: str) -> None:
        """Start programs and wait until each is ready; exits with the end of the log of one that is not."""
        with step(f"starting {', '.join(names)}"):
            for name in names:
                self._claim_port(name)
                self.supervision.start_program(name)
            deadline = time.monotonic() + READY_SECONDS
            for name in names:
                while not self.ready(name):
                    state = self.supervision.states()[name]["statename"]
                    if state in ("FATAL", "EXITED") or time.monotonic() > deadline:
                        fail(f"{name} is not ready ({state}); the end of its log:\n{self.log_tail(name)}")
                    time.sleep(0.3)

    def log_tail(self, name: str, lines: int = 20) -> str:
        path = self.home.folder / "logs" / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else "(no log)"

    def ready(self, name: str) -> bool:
        """Whether a program answers that it can do its work."""
        address = self.services[name][1]
        if not address:
            return bool(self.supervision.states()[name]["statename"] == "RUNNING")
        try:
            answer = httpx.get(address, timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        if answer.status_code != 200:
            return False
        part = {"airflow-scheduler": "scheduler", "airflow-dag-processor": "dag_processor"}.get(name)
        return part is None or answer.json()[part]["status"] == "healthy"

    def _claim_port(self, name: str) -> None:
        service = self.services[name][0]
        if service is None or self.supervision.states()[name]["statename"] in ("RUNNING", "STARTING"):
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((service.host, service.port))
            except OSError:
                section = {"airflow-api-server": "AIRFLOW"}.get(name, name.upper().replace("-", "_"))
                setting = "METEO_INGEST__DEMO_URL" if name == "demo" else f"METEO_{section}__PORT"
                fail(f"port {service.port} is taken by another program; stop it, or give {name} another by {setting}")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that something is under way, and how long it took."""
    started = time.monotonic()
    with console.status(title):
        yield
    console.print(f"[green]✓[/] {title} [dim]{time.monotonic() - started:.1f} s[/]")


def fail(message: str) -> NoReturn:
    console.print(Text(message, style="red"))
    raise SystemExit(1)


def job(title: str, *arguments: str) -> dict[str, object]:
    """Run one of the packages' commands, its progress in this terminal; its summary."""
    console.print(f"[bold]{title}[/] [dim]python -m {' '.join(arguments)}[/]")
    started = time.monotonic()
    secrets = {"METEO_SECRETS": f"{os.environ['JOB_SECRETS']}/{arguments[0]}"}
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, env={**os.environ, **secrets}, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        fail(f"{title} failed; nothing that was stored is lost, and `make up` goes on from here")
    summary: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    console.print(f"[green]✓[/] {title} [dim]{time.monotonic() - started:.1f} s[/]")
    return summary


HomeOption = Annotated[Path, typer.Option(envvar="METEO_HOME", help="the folder of all state")]


@app.command()
def up(
    home: HomeOption = Path("data"),
    history: Annotated[str, typer.Option(help="weatherAUS.csv[.gz]")] = "",
    observability: Annotated[str, typer.Option(help="1: Prometheus, Alertmanager and Node Exporter as well")] = "",
) -> None:
    """Bring everything up: data, a first model, all services. Safe to run again."""
    began = time.monotonic()
    try:
        machine = Machine(home, history, observability == "1", prepare=True)
    except HomeError as error:
        fail(str(error))
    with (machine.home.folder / "run" / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail("another `make up` is at work on this METEO_HOME")
        _bring_up(machine)
    _summary(machine, time.monotonic() - began)


def _bring_up(machine: Machine) -> None:
    settings, folder = machine.settings, machine.home.folder
    machine.supervision.start()
    airflow = f"{os.environ['AIRFLOW_BIN']}/airflow"
    with (folder / "logs" / "airflow-migrate.log").open("w") as log:
        migration = subprocess.Popen([airflow, "db", "migrate"], stdout=log, stderr=subprocess.STDOUT)
    demo = settings.ingest.source == "demo"
    machine.start(*(["demo"] if demo else []), "mlflow")
    job("first accounts", "gateway", "users", "bootstrap", "--file", str(folder / "credentials.json"))
    store = ObservationStore(connect(settings.observations_url))
    store.create()
    if store.simulated() is None:
        start = months_before(datetime.now(UTC).date(), DEMO_MONTHS).isoformat()
        job("loading observations", "ingest", *(["--start", start] if settings.ingest.source != "file" else []))
    champion = Registry.of(settings).find("champion")
    if champion is None or not champion.signature:
        job("preparing training data", "preprocessing")
        job("training a first model", "train", "first")
    with step("Airflow's database"):
        if migration.wait():
            fail(f"`airflow db migrate` failed:\n{machine.log_tail('airflow-migrate')}")
    machine.start(*(name for name in machine.services if name not in ("demo", "mlflow")))


def _summary(machine: Machine, seconds: float) -> None:
    settings = machine.settings
    table = Table(title=f"Up after {seconds:.0f} s", show_header=False)
    for title, address in (
        ("Console", settings.console.address),
        ("Gateway (API)", f"{settings.gateway.address}/docs"),
        ("Airflow", settings.airflow.address),
        ("MLflow", settings.mlflow.address),
        *(
            (("Prometheus", settings.prometheus.address), ("Alertmanager", settings.alertmanager.address))
            if machine.home.observed
            else ()
        ),
    ):
        table.add_row(title, address)
    table.add_row("First logins", str(machine.home.folder / "credentials.json"))
    if settings.ingest.source == "demo":
        table.add_row("Observations", "DEMO DATA: simulated weather, not BOM's")
    console.print(table)


@app.command()
def down(home: HomeOption = Path("data")) -> None:
    """Stop everything; state stays."""
    machine = Machine(home)
    with step("stopping"):
        machine.supervision.shutdown()


@app.command()
def status(home: HomeOption = Path("data")) -> None:
    """What runs, and how; exits with 0 only when all of it does."""
    machine = Machine(home)
    states = machine.supervision.states()
    table = Table("service", "state", "ready", "memory MB", "since")
    all_up = True
    for name, (_, address) in machine.services.items():
        state = states.get(name, {"statename": "STOPPED", "pid": 0, "description": ""})
        ready = bool(states) and machine.ready(name)
        all_up &= ready
        table.add_row(
            name,
            state["statename"].lower(),
            "yes" if ready else f"no: {address or 'see its log'}",
            f"{memory_mb(state['pid']):.0f}" if state["pid"] else "",
            state["description"],
        )
    Console().print(table)
    raise SystemExit(0 if all_up else 1)


@app.command()
def logs(home: HomeOption = Path("data"), service: str = "") -> None:
    """Follow the logs of one service, or of all."""
    machine = Machine(home)
    names = [service] if service else list(machine.services)
    paths = [path for name in names if (path := machine.home.folder / "logs" / f"{name}.log").exists()]
    if not paths:
        fail(f"no log yet of {', '.join(names)}")
    os.execvp("tail", ["tail", "-n", "20", "-F", *map(str, paths)])  # noqa: S606


def _addresses(settings: Settings, observed: bool) -> dict[str, str]:
    airflow, mlflow = settings.airflow, settings.mlflow
    pages = {"Airflow": airflow.address, "MLflow": mlflow.address} | (
        {"Prometheus": settings.prometheus.address, "Alertmanager": settings.alertmanager.address} if observed else {}
    )
    return {
        "METEO_CONSOLE__LINKS": json.dumps(settings.console.links or pages),
        "AIRFLOW_HOST": airflow.host,
        "AIRFLOW_PORT": str(airflow.port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow.address}/execution/",
        "MLFLOW_HOST": mlflow.host,
        "MLFLOW_PORT": str(mlflow.port),
        "TIDY": str(REPOSITORY / "deploy" / "images" / "tidy"),
        "METEO_RETENTION__AIRFLOW_DAYS": str(settings.retention.airflow_days),
        **{
            f"{name}_LISTEN": f"{service.host}:{service.port}"
            for name, service in (
                ("PROMETHEUS", settings.prometheus),
                ("ALERTMANAGER", settings.alertmanager),
                ("NODE_EXPORTER", settings.node_exporter),
            )
        },
        **dict.fromkeys(("PROMETHEUS_BIN", "ALERTMANAGER_BIN", "NODE_EXPORTER_BIN"), "not-asked-for"),
    }


if __name__ == "__main__":
    app()
