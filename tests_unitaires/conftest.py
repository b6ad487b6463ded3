"""What tests of several packages share."""

import asyncio
import hashlib
import itertools
import json
import logging
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import structlog
import uvicorn
import xgboost
from sqlalchemy import text
from xdist.scheduler import LoadFileScheduling

from api_model.model_cache import ModelCache
from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch
from meteo.archive.store import ObservationStore
from meteo.errors import MeteoError, Unavailable
from meteo.features.climatology import USUAL, Climate
from meteo.features.matrix import FEATURE_NAMES, feature_matrix
from meteo.features.neighbours import Surroundings
from meteo.features.station_row import STATIONS
from meteo.models.bundle import seal
from meteo.models.card import CARD, GRAPH, Card, UnusableModel
from meteo.models.explanations import BOOSTER
from meteo.models.published import CARD_TAG, SIGNATURE_TAG, Published
from meteo.models.registry import Registry
from meteo.observation import FIELDS, INDEX, Observations, compass_sector, rain_tomorrow
from meteo.runtime.database import connect, connected
from train import onnx_export

Row = tuple[str, str, dict[str, float | str]]

REPOSITORY = Path(__file__).resolve().parent.parent
REAL_DATA = REPOSITORY.parent / "shared" / "data"
THREAT_MODEL = REPOSITORY / "docs" / "threat-model.md"
FAULTS = ("freeze", "half-open", "slow", "reset", "lost reply")


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


@dataclass
class Server:
    """A real server of the tests' own, which can be frozen: it is there and says nothing."""

    socket: Path
    address: str
    pid: int

    def freeze(self) -> None:
        """Stop it and all its children."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        os.kill(self.pid, number)  # first, so that it makes no more children
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii").split()
        for child in children:
            os.kill(int(child), number)


class Postgres(Server):
    """A PostgreSQL server; `address` has a place for the database's name."""

    _names = itertools.count()

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"tests{next(self._names)}"
        engine = connect(self.address.format("postgres"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.address.format(name)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
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
    pid = int((folder / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0])
    server = Postgres(folder / ".s.PGSQL.5432", f"postgresql+psycopg://meteo@/{{}}?host={folder}", pid)
    yield server
    server.thaw()
    run([programs / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop"])
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def mlflow_server(eventually: Callable[..., None]) -> Callable[[Path, dict[str, str]], AbstractContextManager[str]]:
    """Start a real MLflow that keeps what it knows in a folder, in an environment of some more variables, of which one
    may have its password: its address."""

    @contextmanager
    def start(folder: Path, more: dict[str, str]) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        command = [str(Path(sys.executable).with_name("mlflow")), "server", "--port", str(port), "--workers", "1",
                   "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
                   "--artifacts-destination", str(folder / "artifacts")]  # fmt: skip
        if "METEO_MLFLOW__PASSWORD" in more:
            command += ["--app-name", "password"]
        environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        process = subprocess.Popen(
            command, env={**environment, **more}, stderr=subprocess.DEVNULL, start_new_session=True
        )
        address = f"http://127.0.0.1:{port}"

        def answers() -> bool:
            assert process.poll() is None, f"MLflow ended with {process.returncode}"
            try:
                return httpx.get(f"{address}/health", trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        try:
            eventually(answers, 300)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)

    return start


@contextmanager
def running_redis() -> Iterator[Server]:
    program = shutil.which("redis-server")
    if program is None:
        lacking("Debian's redis-server")
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    address = folder / "socket"
    command = [str(program), "--port", "0", "--unixsocket", str(address), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until(address.exists)
    server = Server(address, f"redis+unix://{address}", process.pid)
    yield server
    server.thaw()
    process.terminate()
    process.wait()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL server of the tests' own; each call makes an empty database and gives its address."""
    with running_postgres() as server:
        yield server.database


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The address of a real Redis server of the tests' own."""
    with running_redis() as server:
        yield server.address


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """One that a file of tests may freeze."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Server]:
    """One that a file of tests may freeze."""
    with running_redis() as server:
        yield server


class FaultProxy:
    """Stands before a server at an address or socket, by default as if it were not there; `fault` is what it does.

    freeze: takes all and says nothing. half-open: so do the connections that there are; new ones work. slow: answers
    drip. reset: connections are reset. lost reply: a request arrives, and the connection ends without its answer.
    """

    def __init__(self, target: str | Path) -> None:
        self._target = target
        self.fault = ""
        self.drip_seconds = 0.2
        self._silent: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._runner = asyncio.Runner()
        self._loop, self._closing = self._runner.get_loop(), asyncio.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self, fault: str) -> None:
        self.fault = fault
        if fault in ("half-open", "freeze"):
            self._silent |= self._open

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        with self._runner:  # which ends what still goes on
            self._runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, sock=self._listener)
        await self._closing.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, Path):
            behind, there = await asyncio.open_unix_connection(self._target)
        else:
            parts = urlsplit(self._target)
            behind, there = await asyncio.open_connection(parts.hostname, parts.port)
        self._open |= {writer, there}
        if self.fault == "freeze":
            self._silent.add(writer)
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, there, writer), self._pump(behind, writer, writer))
        for end in (writer, there):
            end.transport.abort()
            self._open.discard(end)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        while content := await source.read(65536):
            if client in self._silent:
                continue
            answers = sink is client
            if self.fault == "reset" or (self.fault == "lost reply" and answers):
                client.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", self.fault == "reset", 0)
                )
                raise ConnectionResetError
            pieces = [bytes([byte]) for byte in content] if self.fault == "slow" and answers else [content]
            for piece in pieces:
                sink.write(piece)
                await sink.drain()
                if len(pieces) > 1:
                    await asyncio.sleep(self.drip_seconds)
        raise ConnectionResetError


@pytest.fixture
def fault_proxy() -> Iterator[Callable[[str | Path], FaultProxy]]:
    """Puts a proxy before a server."""
    with ExitStack() as ending:

        def stand_before(target: str | Path) -> FaultProxy:
            proxy = FaultProxy(target)
            ending.callback(proxy.close)
            return proxy

        yield stand_before


def _documented(link: str) -> dict[str, str]:
    """What docs/threat-model.md says is seen on a link, by fault."""
    row = re.search(rf"^\| {re.escape(link)} \|(.+)\|$", THREAT_MODEL.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None, f"docs/threat-model.md has no row for {link}"
    return dict(zip(FAULTS, (cell.strip() for cell in row[1].split("|")), strict=True))


def _each_fault(
    link: str, proxy: FaultProxy, ask: Callable[[], set[int]], most_seconds: float = 6.5,
    count: Callable[[], int] = lambda: 0,
) -> None:  # fmt: skip
    """`ask` uses the link, by several requests at once where it gives several statuses: all are 200 before and after
    each fault, and the worst is what the document says during it, within `most_seconds`. A fault that spares no
    connection spares none of them. `count` is how often what is asked for was done behind the proxy."""
    seen = {}
    for fault in FAULTS:
        wait_until(lambda: ask() == {200}, 20)
        before, began = count(), time.monotonic()
        proxy.begin(fault)
        statuses = ask()
        assert time.monotonic() - began < most_seconds, fault
        assert count() - before <= 1, "what was asked once is done once"
        assert len(statuses) == 1 or fault in ("half-open", "slow")
        seen[fault] = str(max(statuses))
        proxy.begin("")
    wait_until(lambda: ask() == {200}, 20)
    assert seen == _documented(link)


@pytest.fixture(scope="session")
def outcome() -> Callable[[Callable[[], object]], set[int]]:
    """The HTTP status that says how a call ended, for a link that is not asked by HTTP."""

    def status(ask: Callable[[], object]) -> set[int]:
        try:
            ask()
        except MeteoError as error:
            return {error.status}
        return {200}

    return status


@pytest.fixture(scope="session")
def each_fault() -> Callable[..., None]:
    """See `_each_fault`."""
    return _each_fault


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """A job's log goes to this test's captured stderr, which is closed when it ends."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(force=True)


@pytest.fixture
def end_turn(eventually: Callable[..., None]) -> Callable[[str], None]:
    """End the session that holds the one turn on a PostgreSQL database, as a restart of the server or a connection cut
    for idleness would."""
    locks = """
        FROM pg_locks JOIN pg_database ON pg_database.oid = database AND datname = current_database()
        WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'
    """

    def end(address: str) -> None:
        with connected(address) as engine, engine.connect() as connection:
            assert connection.scalar(text(f"SELECT count(pg_terminate_backend(pid)) {locks}")) == 1
            eventually(lambda: connection.scalar(text(f"SELECT count(*) {locks}")) == 0)

    return end


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
def even_climate() -> Callable[[float], Climate]:
    """It rains as often at every place in every month."""
    shape = (len(STATIONS), 12)
    return lambda rate: Climate(np.full((*shape, len(USUAL)), np.nan), np.full(shape, rate))


@pytest.fixture(scope="session")
def card() -> Card:
    return Card(
        kind="xgboost",
        features=FEATURE_NAMES,
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
        matrix = feature_matrix(rows, Surroundings.of(rows), climate)
        data = xgboost.DMatrix(matrix[known], label[known], feature_names=list(FEATURE_NAMES))
        booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, rounds)
        files = {GRAPH: onnx_export.boosted(booster), BOOSTER: bytes(booster.save_raw("ubj"))}
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
    key: str = "with which the tests sign their cards"
    folders: dict[str, Path] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    """Of versions that were not signed as they are now."""
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
        path = self.folders[version] / CARD
        card = path.read_bytes() if path.exists() else b"{}"
        digest = self.digests.get(version) or hashlib.sha256(card).hexdigest()
        signature = self.signatures.get(version, self.sign(card))
        scores: dict[str, str] = {}
        with suppress(ValueError):  # of a damaged card
            scores = {name: str(value) for name, value in json.loads(card).get("metrics", {}).items()}
        tags = {CARD_TAG: digest, SIGNATURE_TAG: signature, "kind": "xgboost", "simulated": "true", **scores}
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
def shelf(folders: Folders, tmp_path: Path) -> ModelCache:
    """Models on disk, of which both versions were tried already."""
    for version in folders.folders:
        place = tmp_path / "models" / f"{version}-{folders.get(version).digest[:16]}"
        shutil.copytree(folders.folders[version], place)
    return ModelCache(folders, tmp_path / "models")


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


SERVERS = {"postgres", "own_postgres", "redis", "own_redis", "mlflow_server", "s3"}
"""The fixtures that start one."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a server or a browser is slow, as what says so itself is: `make test-fast` leaves it out. The tests
    that bring up the whole system come first: with several workers the others are done meanwhile."""
    for item in items:
        given = getattr(item, "callspec", None)
        on_server = given is not None and "postgresql" in given.params.values()
        asked = set(getattr(item, "fixturenames", ()))
        if item.path.parent.name in ("e2e", "integration") or on_server or SERVERS & asked:
            item.add_marker("slow")
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
