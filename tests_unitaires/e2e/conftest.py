"""The whole system, brought up as `make up` does it, and a browser to use it with.

`CONTAINERS=https://host pytest tests_unitaires/e2e/test_console.py` uses the containers of the compose file instead,
which run already, and whose certificate is tls/tls.crt.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from home import Home
from journey import Login
from playwright.sync_api import Browser, Page, expect, sync_playwright

from streamlit_app.language import catalogue

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
    environment: dict[str, str]
    trust: ssl.SSLContext | bool = True

    @cached_property
    def logins(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads((self.home / "credentials.json").read_text())
        return found

    def machine(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return machine(self.environment, *arguments)

    def client(self, role: str | None = None) -> httpx.Client:
        """Of the gateway, logged in as one of the first logins if one is named."""
        auth = Login(self.logins[role]) if role else None
        return httpx.Client(base_url=self.gateway, auth=auth, trust_env=False, verify=self.trust, timeout=60)

    def token(self, role: str) -> dict[str, str]:
        """An Authorization header of one of the first logins."""
        with self.client() as client:
            answer = client.post("/token", data=self.logins[role])
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    @contextmanager
    def without(self, *programs: str) -> Iterator[None]:
        """Programs are stopped meanwhile; afterwards they answer again."""
        control = [str(REPOSITORY / ".venv/bin/supervisorctl"), "-s", f"unix://{Home(self.home).socket}"]
        subprocess.run([*control, "stop", *programs], check=True, capture_output=True)
        try:
            yield
        finally:
            done = self.machine("up")
            assert done.returncode == 0, done.stderr


class Containers(System):
    """The same system in the containers of the compose file."""

    @cached_property
    def logins(self) -> dict[str, dict[str, str]]:
        done = subprocess.run(
            ["make", "--silent", "logins"], capture_output=True, text=True, check=True, cwd=REPOSITORY
        )
        found: dict[str, dict[str, str]] = json.loads(done.stdout)
        return found

    @contextmanager
    def without(self, *programs: str) -> Iterator[None]:
        names = {"gateway": ["gateway", "gateway-2"], "airflow-api-server": ["airflow-api"]}
        services = [name for program in programs for name in names[program]]
        subprocess.run(
            [str(REPOSITORY / "deploy/containers/compose"), "stop", *services],
            check=True,
            capture_output=True,
            cwd=REPOSITORY,
        )
        try:
            yield
        finally:
            subprocess.run(
                [str(REPOSITORY / "deploy/containers/compose"), "start", *services],
                check=True,
                capture_output=True,
                cwd=REPOSITORY,
            )
            deadline = time.monotonic() + 120
            while self._status() != "ok":
                assert time.monotonic() < deadline, f"{services} did not come back"
                time.sleep(1)

    def _status(self) -> str:
        with self.client() as client:
            return str(client.get("/status").json().get("status"))


def machine(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / ".venv/bin/python"), str(REPOSITORY / "deploy/local/machine.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=REPOSITORY)


@pytest.fixture(scope="session")
def running() -> Iterator[dict[str, Any]]:
    """The one system that runs: what it was made for, and itself."""
    found: dict[str, Any] = {}
    yield found
    _bring_down(found)


def _bring_down(found: dict[str, Any]) -> None:
    if found:
        machine(found["system"].environment, "down")
        found.clear()


@pytest.fixture(scope="module")
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, running: dict[str, Any]
) -> Iterator[System]:
    """With the file's own SETTINGS and what it says after UP; with POSTGRESQL, all tables are there, Airflow's too;
    with UNMEASURED, without coverage, by which jobs take half as long again. Files that ask for the same share it."""
    if address := os.environ.get("CONTAINERS"):
        trust = ssl.create_default_context(cafile=REPOSITORY / "tls/tls.crt")
        yield Containers(REPOSITORY, address, f"{address}:8443", {}, trust)
        return
    if not (REPOSITORY / ".venv-airflow/bin/airflow").exists():
        _missing("needs Airflow's environment: make setup")
    unmeasured = bool(getattr(request.module, "UNMEASURED", False))
    settings, up = dict(getattr(request.module, "SETTINGS", {})), tuple(getattr(request.module, "UP", ()))
    wanted = (settings, up, bool(getattr(request.module, "POSTGRESQL", False)), unmeasured)
    if running.get("wanted") != wanted:
        _bring_down(running)
        home = tmp_path_factory.mktemp("home")
        running.update(wanted=wanted, system=_described(home, settings, request if wanted[2] else None, unmeasured))
        done = running["system"].machine("up", *up)
        assert done.returncode == 0, done.stderr
    yield running["system"]
    if wanted[2]:  # before its PostgreSQL goes
        _bring_down(running)


def _described(home: Path, settings: dict[str, str], request: pytest.FixtureRequest | None, unmeasured: bool) -> System:
    parts = ("GATEWAY", "API_MODEL", "CONSOLE", "AIRFLOW", "MLFLOW", "PROMETHEUS", "ALERTMANAGER", "NODE_EXPORTER")
    ports = dict(zip((*parts, "DEMO", "METRICS"), _free_ports(len(parts) + 2), strict=True))
    others = ("METEO_", "COVERAGE_") if unmeasured else ("METEO_",)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        "METEO_HOME": str(home),
        "METEO_GATEWAY__PREDICTIONS_USER": "600/minute",  # a browser on a fast machine asks more than ten times
        "METEO_TRAIN__MARGIN": "0.01",  # ten weeks of holdout are too few to tell .0005
        "METEO_INGEST__DEMO_URL": f"http://127.0.0.1:{ports['DEMO']}",
        "METEO_CONSOLE__METRICS_PORT": str(ports["METRICS"]),
        **{f"METEO_{part}__PORT": str(ports[part]) for part in parts},
        **settings,
    }
    if request is not None:
        address = request.getfixturevalue("postgres")
        for part in ("OBSERVATIONS", "PREDICTIONS", "GATEWAY"):
            environment[f"METEO_STORE__{part}_URL"] = address()
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = address().replace("+psycopg:", "+psycopg2:")
    console, gateway = (f"http://127.0.0.1:{ports[part]}" for part in ("CONSOLE", "GATEWAY"))
    return System(home, console, gateway, environment)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with the module: Playwright keeps an event loop running in this thread meanwhile."""
    if CHROMIUM is None:
        _missing("needs the program chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield found
        found.close()


class Visit(Protocol):
    def __call__(self, role: str, language: str = "en", path: str = "/", **options: Any) -> Page: ...


@pytest.fixture
def visit(browser: Browser, system: System) -> Iterator[Visit]:
    """A fresh browser profile of that language logged in as one of the first logins, on a page of the console.

    Fails the test if a page asked any other host for anything or threw an uncaught script error.
    """
    contexts, hosts, errors = [], set[str](), list[str]()

    def start(role: str, language: str = "en", path: str = "/", **options: Any) -> Page:
        t = catalogue(language)
        locale = {"en": "en-AU", "fr": "fr-FR"}[language]
        defaults = {"viewport": {"width": 1280, "height": 1400}, "locale": locale, "ignore_https_errors": True}
        context = browser.new_context(**{**defaults, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: hosts.add(request.url.split("/")[2] if "://" in request.url else ""))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(system.console + path)
        page.get_by_label(t["login.user"]).fill(system.logins[role]["username"])
        page.get_by_label(t["login.password"]).fill(system.logins[role]["password"])
        page.get_by_role("button", name=t["login.submit"]).click()
        page.get_by_test_id("stMain").wait_for()
        return page

    yield start
    for context in contexts:
        context.close()
    assert hosts - {""} == {system.console.split("//")[1]}
    assert errors == []


@pytest.fixture
def forecast() -> Callable[..., str]:
    """Submits the form; the model version that the answer names."""

    def submit(page: Page, language: str = "en") -> str:
        t = catalogue(language)
        captions = page.get_by_text(
            re.compile(re.escape(t["forecast.model"].partition("{")[0]) + r"rain-tomorrow.*\d+")
        )
        earlier = captions.last.inner_text() if captions.count() else ""
        page.get_by_role("button", name=t["forecast.submit"]).click()
        expect(captions.last).to_be_visible()
        expect(captions.last).not_to_have_text(earlier)
        found = re.search(r"version (\d+)", captions.last.inner_text())
        assert found is not None
        return found[1]

    return submit


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
