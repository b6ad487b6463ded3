"""The gateway and the model API as processes of their own, real requests between them, to be attacked and broken."""

import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.users import Role, Users
from meteo.archive.store import ObservationStore
from meteo.models.card import CARD
from meteo.observation import Observations
from meteo.runtime.database import connect

PASSWORD = "correct horse battery staple"
READY_SECONDS = 60


@dataclass
class House:
    """Parts of the system below one home; a part is named like its package."""

    home: Path
    environment: dict[str, str]
    ports: dict[str, int]
    eventually: Callable[..., None]
    password: str = PASSWORD
    kind: str = ""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.ports['gateway']}"

    def start(self, part: str) -> None:
        """Start a part and wait until it is ready."""
        with (self.home / f"{part}.log").open("ab") as log:
            self.running[part] = subprocess.Popen(
                [sys.executable, "-m", part], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.eventually(lambda: self.ready(part), READY_SECONDS)

    def ready(self, part: str) -> bool:
        if self.running[part].poll() is not None:
            self.running.pop(part)
            raise RuntimeError(f"{part} has ended:\n{self.log(part)[-3000:]}")
        try:
            address = f"http://127.0.0.1:{self.ports[part]}/health/ready"
            return httpx.get(address, trust_env=False, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, part: str, how: int = signal.SIGTERM) -> None:
        """SIGTERM goes to the first process only, which ends its workers: coverage deadlocks at a second one."""
        process = self.running.pop(part)
        (os.kill if how == signal.SIGTERM else os.killpg)(process.pid, how)
        process.wait(timeout=30)

    def end(self) -> None:
        for part in list(self.running):
            self.stop(part)

    def log(self, part: str) -> str:
        return (self.home / f"{part}.log").read_text(encoding="utf-8")

    def lines(self, part: str) -> list[dict[str, Any]]:
        """Its log, line by line."""
        return [json.loads(line) for line in self.log(part).splitlines()]

    def add(self, username: str, role: Role = "user") -> None:
        engine = connect(self.environment.get("METEO_STORE__GATEWAY_URL", f"sqlite:///{self.home / 'gateway.db'}"))
        Users(engine).add(username, PASSWORD, role)
        engine.dispose()

    def client(self, username: str | None = None, **options: Any) -> httpx.Client:
        """A client of the gateway, logged in as somebody."""
        client = httpx.Client(base_url=self.gateway, trust_env=False, timeout=30, **options)
        if username is not None:
            form = {"username": username, "password": PASSWORD}
            pair = httpx.post(f"{self.gateway}/token", data=form, trust_env=False).raise_for_status().json()
            client.headers["Authorization"] = f"Bearer {pair['access_token']}"
        return client

    def raw(self, *parts: bytes, most: float = 15.0) -> bytes:
        """All that comes back for these bytes until the gateway closes or has answered and says no more for long."""
        with socket.create_connection(("127.0.0.1", self.ports["gateway"]), timeout=most) as connection:
            found = b""
            try:
                for part in parts:
                    connection.sendall(part)
                    if select.select([connection], [], [], 0.001)[0]:
                        break  # we were answered
                while chunk := connection.recv(65536):
                    found += chunk
            except (ConnectionError, TimeoutError):
                pass  # closed while we were still talking, or kept open after the answer
            return found

    def memory_mb(self, part: str) -> float:
        """Resident memory of a part."""
        pages = int(Path(f"/proc/{self.running[part].pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture(scope="session")
def settled_home(
    tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[[Path, int], Path],
    weather: Callable[..., Observations], put: Callable[[ObservationStore, Observations], None],
) -> Path:  # fmt: skip
    """A home with a served model, days of two stations, and the accounts ann (user) and root (admin)."""
    home = tmp_path_factory.mktemp("settled")
    models = home / "models"
    models.mkdir()
    bundle = make_bundle(models / "fresh", 20)
    place = f"1-{hashlib.sha256((bundle / CARD).read_bytes()).hexdigest()[:16]}"
    bundle.rename(models / place)
    (models / "served").write_text(place, encoding="utf-8")
    store = ObservationStore(connect(f"sqlite:///{home / 'observations.db'}"))
    store.create()
    put(store, weather(days=60))
    accounts = connect(f"sqlite:///{home / 'gateway.db'}")
    users = Users(accounts)
    users.create_tables()
    users.add("ann", PASSWORD, "user")
    users.add("root", PASSWORD, "admin")
    for engine in (store.engine, accounts):
        engine.dispose()
    return home


@pytest.fixture(scope="module")
def open_house(
    settled_home: Path, tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., None]
) -> Iterator[Callable[..., House]]:
    """Starts parts in a home of their own; `settings` are environment variables without METEO_."""
    ending = ExitStack()

    def start(*parts: str, **settings: str) -> House:
        home = tmp_path_factory.mktemp("house") / "home"
        shutil.copytree(settled_home, home)
        names = ("api_model", "gateway", "airflow", "mlflow")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("METEO_")},
            "METEO_HOME": str(home), "METEO_SERVICE_SECRET": "s" * 40, "METEO_GATEWAY__JWT_SECRET": "j" * 40,
            "METEO_MODELS_SECRET": "m" * 40,
            "METEO_GATEWAY__PREDICTIONS_USER": "100000/minute", "METEO_GATEWAY__BATCH_ROWS_USER": "100000000/hour",
            **{f"METEO_{name.upper()}__PORT": str(port) for name, port in ports.items()},
            **{f"METEO_{name}": value for name, value in settings.items()},
        }  # fmt: skip
        house = House(home, environment, ports, eventually)
        ending.callback(house.end)
        for part in parts or ("api_model", "gateway"):
            house.start(part)
        return house

    with ending:
        yield start


@pytest.fixture(scope="module")
def house(open_house: Callable[..., House]) -> House:
    """One for a whole file of tests."""
    return open_house()
