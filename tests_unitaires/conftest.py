"""What tests of several packages share."""

import hashlib
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
import xgboost
from sqlalchemy import text
from xdist.scheduler import LoadFileScheduling

from api_model.shelf import Shelf
from meteo import features
from meteo.climate import Climate
from meteo.database import connect
from meteo.errors import Unavailable
from meteo.ingestions import STORED, FileRecord
from meteo.merge import Batch
from meteo.model import BOOSTER, CARD, GRAPH, Card, UnusableModel, seal
from meteo.observation import FIELDS, INDEX, Observations, compass_sector, rain_tomorrow
from meteo.registry import CARD_TAG, Published, Registry
from meteo.store import ObservationStore
from meteo.surroundings import Surroundings
from train import export

Row = tuple[str, str, dict[str, float | str]]

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = REPOSITORY.parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files beside the checkout; they are not ours to redistribute."""
    if not REAL_DATA.is_dir():
        pytest.skip("needs the real data in ../shared/data beside the checkout")
    return REAL_DATA


@pytest.fixture(scope="session")
def history(real_data: Path) -> Path:
    return real_data / "weatherAUS.csv.gz"


def lacking(what: str) -> None:
    """Skip for want of a system package; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def lack() -> Callable[[str], None]:
    """See `lacking`."""
    return lacking


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL server of the tests' own; each call makes an empty database and gives its address."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        lacking("Debian's postgresql")
    programs, folder = versions[-1], Path(tempfile.mkdtemp(prefix="postgres-"))
    as_server: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        account = pwd.getpwnam("postgres")
        as_server = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(folder, account.pw_uid, account.pw_gid)
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, cwd="/", **as_server)
    run([programs / "initdb", "-D", folder / "data", "-U", "meteo", "-A", "trust", "--no-sync", "-E", "UTF8"])
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run([programs / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start"])
    address = f"postgresql+psycopg://meteo@/{{}}?host={folder}"
    names = (f"tests{number}" for number in itertools.count())

    def database() -> str:
        name = next(names)
        engine = connect(address.format("postgres"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return address.format(name)

    yield database
    run([programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop"])
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The address of a real Redis server of the tests' own."""
    program = shutil.which("redis-server")
    if program is None:
        lacking("Debian's redis-server")
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    address = folder / "socket"
    command = [str(program), "--port", "0", "--unixsocket", str(address), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until(address.exists)
    yield f"redis+unix://{address}"
    process.terminate()
    process.wait()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'observations.db'}"
    address: str = request.getfixturevalue("postgres")()
    return address


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObservationStore]:
    found = ObservationStore(connect(f"sqlite:///{tmp_path / 'observations.db'}"))
    found.create()
    yield found
    found.engine.dispose()


@pytest.fixture(scope="session")
def put() -> Callable[[ObservationStore, Observations], None]:
    """Have a store hold observations."""

    def store_them(store: ObservationStore, observations: Observations) -> None:
        run = store.ingestions.begin("file", {})
        store.upsert(run.id, FileRecord("f", STORED, "file", "[]", 1), [Batch(observations, "weatherAUS")])

    return store_them


@pytest.fixture(scope="session")
def rows() -> Callable[..., Observations]:
    """Observations from (station, day, {field: value or compass point})."""

    def build(*given: Row) -> Observations:
        values = np.full((len(given), len(FIELDS)), np.nan)
        for number, (_, _, fields) in enumerate(given):
            for name, value in fields.items():
                values[number, INDEX[name]] = compass_sector(value) if isinstance(value, str) else value
        return Observations(
            np.array([station for station, _, _ in given], dtype=str),
            np.array([day for _, day, _ in given], dtype="datetime64[D]"),
            values,
        )

    return build


@pytest.fixture(scope="session")
def weather() -> Callable[..., Observations]:
    """Made-up but learnable observations: humid afternoons are followed by rain."""

    def build(stations: tuple[str, ...] = ("Sydney", "Perth"), start: date = date(2020, 1, 1), days: int = 400,
              seed: int = 1) -> Observations:  # fmt: skip
        generator = np.random.default_rng(seed)
        parts = []
        for name in stations:
            values = np.full((days, len(FIELDS)), np.nan)
            humidity = generator.uniform(20, 100, days).round()
            wet = generator.uniform(size=days) < 1 / (1 + np.exp(-(humidity - 70) / 8))
            rainfall = np.concatenate([[0.0], np.where(wet[:-1], 5.0, 0.0)])
            values[:, INDEX["humidity_3pm"]] = humidity
            values[:, INDEX["rainfall"]] = rainfall
            values[:, INDEX["temp_3pm"]] = generator.normal(20, 5, days).round(1)
            values[:, INDEX["pressure_3pm"]] = generator.normal(1015, 6, days).round(1)
            values[:, INDEX["wind_speed_3pm"]] = generator.integers(0, 40, days)
            values[:, INDEX["wind_dir_3pm"]] = generator.integers(0, 16, days)
            day = np.datetime64(start, "D") + np.arange(days)
            parts.append(Observations(np.full(days, name), day, values))
        return Observations.concatenate(parts)

    return build


@pytest.fixture(scope="session")
def card() -> Card:
    return Card(
        kind="xgboost",
        features=features.NAMES,
        threshold=0.3,
        trained_at=datetime(2024, 1, 1, tzinfo=UTC),
        data_version="d" * 32,
        git_commit="c" * 40,
        simulated=True,
        seed=1,
        params={"max_depth": 3},
        split={"test_start": date(2021, 1, 1)},
        metrics={"brier": 0.1},
        baselines={"climatology": {"brier": 0.2}},
    )


@pytest.fixture(scope="session")
def make_bundle(weather: Callable[..., Observations], card: Card) -> Callable[[Path, int], Path]:
    """Write a published model's files: a small booster that learnt that humid afternoons are followed by rain."""

    def make(folder: Path, rounds: int) -> Path:
        rows = weather()
        label = rain_tomorrow(rows.station, rows.day, rows.column("rainfall"))
        known = ~np.isnan(label)
        climate = Climate.fit(rows)
        matrix = features.features(rows, Surroundings.of(rows), climate)
        data = xgboost.DMatrix(matrix[known], label[known], feature_names=list(features.NAMES))
        booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, rounds)
        files = {GRAPH: export.boosted(booster), BOOSTER: bytes(booster.save_raw("ubj"))}
        folder.mkdir()
        seal(files, climate, matrix[:8], card).save(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def _bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: Callable[[Path, int], Path]) -> Path:
    return make_bundle(tmp_path_factory.mktemp("published") / "bundle", 20)


@pytest.fixture
def bundle(tmp_path: Path, _bundle: Path) -> Path:
    """A published model's files, which a test may damage."""
    return Path(shutil.copytree(_bundle, tmp_path / "bundle"))


@dataclass(frozen=True)
class Folders(Registry):
    """A registry whose versions are folders here; the rest is the real one's code."""

    uri: str = "http://registry"
    name: str = "rain-tomorrow"
    folders: dict[str, Path] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """Anything in here, and the registry does not answer."""

    def _call(self, method: str, path: str, **given: Any) -> dict[str, Any] | None:
        if self.faults:
            raise Unavailable("the model registry does not answer")
        asked = {**given.get("params", {}), **given.get("json", {})}
        if path == "registered-models/get":
            named = [{"alias": alias, "version": version} for alias, version in self.aliases.items()]
            return {"registered_model": {"aliases": named}}
        if path == "model-versions/search":
            return {"model_versions": [self._entry(version) for version in self.folders]}
        if method == "POST":
            self.aliases[asked["alias"]] = asked["version"]
            return {}
        version = asked.get("version") or self.aliases.get(asked["alias"])
        return {"model_version": self._entry(version)} if version in self.folders else None

    def _entry(self, version: str) -> dict[str, Any]:
        card = self.folders[version] / CARD
        digest = self.digests.get(version) or hashlib.sha256(card.read_bytes()).hexdigest()
        tags = {CARD_TAG: digest, "kind": "xgboost", "simulated": "true", "brier": "0.1"}
        return {
            "version": version, "source": "mlflow-artifacts:/1", "creation_timestamp": 0,
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }  # fmt: skip

    def _artifact(self, published: Published, name: str) -> bytes:
        path = self.folders[published.version] / name
        if not path.exists():
            raise UnusableModel(f"{name} cannot be had: 404 from MLflow")
        return path.read_bytes()


@pytest.fixture
def folders(bundle: Path) -> Folders:
    """A registry of two versions with the same content, of which 1 is the champion."""
    second = bundle.with_name("second")
    shutil.copytree(bundle, second)
    return Folders(folders={"1": bundle, "2": second}, aliases={"champion": "1"})


@pytest.fixture
def shelf(folders: Folders, tmp_path: Path) -> Shelf:
    """Models on disk, of which both versions were tried already."""
    for version in folders.folders:
        place = tmp_path / "models" / f"{version}-{folders.get(version).digest[:16]}"
        shutil.copytree(folders.folders[version], place)
    return Shelf(folders, tmp_path / "models")


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serve an ASGI application on a free loopback port; its address. Real HTTP, stopped after the test."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread))
        wait_until(lambda: server.started)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Waits for a condition; see `wait_until`."""
    return wait_until


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Return as soon as `condition` holds; TimeoutError when it does not in time."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        pause.wait(0.02)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that bring up the whole system come first: with several workers the others are done meanwhile."""
    items.sort(key=lambda item: item.path.parent.name != "e2e")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """With several workers a file's tests stay together, and one whole system follows the other: two at once would
    starve each other."""
    return OneSystemAtATime(config, log)


class OneSystemAtATime(LoadFileScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "e2e" if "/e2e/" in file else file
