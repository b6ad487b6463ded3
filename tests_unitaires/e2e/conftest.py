"""The whole system, brought up as `make up` does it, and a browser to use it with."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=30_000)
"""The first explanation imports XGBoost, beside whatever else this machine is testing."""

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync"]  # fmt: skip


@dataclass(frozen=True)
class System:
    """A running system: its home, its addresses, its first logins, and how to run its commands."""

    home: Path
    console: str
    gateway: str
    logins: dict[str, dict[str, str]]
    environment: dict[str, str]

    def machine(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return machine(self.environment, *arguments)

    def token(self, role: str) -> dict[str, str]:
        """An Authorization header of one of the first logins."""
        answer = httpx.post(f"{self.gateway}/token", data=self.logins[role], trust_env=False, timeout=60)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def machine(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / ".venv/bin/python"), str(REPOSITORY / "deploy/local/machine.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=REPOSITORY)


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One for a file of tests, with the file's own SETTINGS and what it says after UP; with POSTGRESQL, all tables are
    there, Airflow's too."""
    if not (REPOSITORY / ".venv-airflow/bin/airflow").exists():
        _missing("needs Airflow's environment: make setup")
    home = tmp_path_factory.mktemp("home")
    parts = ("GATEWAY", "API_MODEL", "CONSOLE", "AIRFLOW", "MLFLOW", "PROMETHEUS", "ALERTMANAGER", "NODE_EXPORTER")
    ports = dict(zip((*parts, "DEMO", "METRICS"), _free_ports(len(parts) + 2), strict=True))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("METEO_")},
        "METEO_HOME": str(home),
        "METEO_INGEST__DEMO_URL": f"http://127.0.0.1:{ports['DEMO']}",
        "METEO_CONSOLE__METRICS_PORT": str(ports["METRICS"]),
        **{f"METEO_{part}__PORT": str(ports[part]) for part in parts},
        **getattr(request.module, "SETTINGS", {}),
    }
    if getattr(request.module, "POSTGRESQL", False):
        address = request.getfixturevalue("postgres")
        for part in ("OBSERVATIONS", "PREDICTIONS", "GATEWAY"):
            environment[f"METEO_STORE__{part}_URL"] = address()
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = address().replace("+psycopg:", "+psycopg2:")
    try:
        done = machine(environment, "up", *getattr(request.module, "UP", ()))
        assert done.returncode == 0, done.stderr
        yield System(
            home,
            f"http://127.0.0.1:{ports['CONSOLE']}",
            f"http://127.0.0.1:{ports['GATEWAY']}",
            json.loads((home / "credentials.json").read_text()),
            environment,
        )
    finally:
        machine(environment, "down")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with the module: Playwright keeps an event loop running in this thread meanwhile."""
    if CHROMIUM is None:
        _missing("needs the program chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield found
        found.close()


@pytest.fixture
def visit(browser: Browser, system: System) -> Iterator[Callable[[str], Page]]:
    """A fresh browser profile logged in as one of the first logins, on the console's front page.

    Fails the test if a page asked any other host for anything or threw an uncaught script error.
    """
    contexts, hosts, errors = [], set[str](), list[str]()

    def start(role: str) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 1400})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: hosts.add(request.url.split("/")[2] if "://" in request.url else ""))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(system.console)
        page.get_by_label("User name").fill(system.logins[role]["username"])
        page.get_by_label("Password").fill(system.logins[role]["password"])
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Forecast rain").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()
    assert hosts - {""} == {system.console.removeprefix("http://")}
    assert errors == []


def _missing(what: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
