"""The databases of the model API, or its registry, are frozen, or their links have faults."""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api_model.app import create_app
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import PredictionLog, records
from meteo.models.registry import Registry
from meteo.observation import Observations
from meteo.runtime.database import SERVICE, Waits, connect
from meteo.runtime.service_tokens import Caller, ServiceTokens

pytestmark = pytest.mark.slow

TOKENS = ServiceTokens("s" * 32)
BODY = {"station": "Sydney", "date": "2020-01-20", "observation": {"humidity_3pm": 90}}
MOST_SECONDS = 6


def all_of(names: Iterable[str], status: int) -> dict[str, set[int]]:
    return {name: {status} for name in names}


class Asking:
    def __init__(self, client: httpx.Client) -> None:
        self.all = {
            "predict": lambda: client.post("/predict", json=BODY),
            "explained": lambda: client.post("/predict", json={**BODY, "explain": True}),
            "forecast": lambda: client.get("/forecast"),
            "stations": lambda: client.get("/stations"),
            "models": lambda: client.get("/models"),
            "model": lambda: client.get("/model"),
            "ready": lambda: client.get("/health/ready"),
            "live": lambda: client.get("/health/live"),
        }

    def __call__(self, *names: str, times: int = 1) -> dict[str, set[int]]:
        """What all are answered that are asked at once."""
        with ThreadPoolExecutor(len(names) * times) as threads:
            began = time.monotonic()
            asked = {name: [threads.submit(self.all[name]) for _ in range(times)] for name in names}
            statuses = {name: {future.result().status_code for future in futures} for name, futures in asked.items()}
        assert time.monotonic() - began < MOST_SECONDS
        return statuses


@pytest.fixture
def start(
    serve: Callable[[Any], str], shelf: ModelCache, put: Callable[[ObservationStore, Observations], None],
    weather: Callable[..., Observations],
) -> Iterator[Callable[..., Asking]]:  # fmt: skip
    with ExitStack() as ending:
        yield partial(_started, ending, serve, shelf, put, weather(days=30))


def _started(
    ending: ExitStack, serve: Callable[[Any], str], shelf: ModelCache,
    put: Callable[[ObservationStore, Observations], None],
    rows: Observations, database: str, predictions: str, registry: Registry, waits: Waits = SERVICE,
) -> Asking:  # fmt: skip
    store, log = ObservationStore(connect(database, waits)), PredictionLog(connect(predictions, waits))
    ending.callback(store.engine.dispose)
    ending.callback(log.engine.dispose)
    store.create()
    put(store, rows)
    predictor = Predictor(shelf, Neighbours(store))
    predictor.reload()
    address = serve(create_app(predictor, log, store, TOKENS, registry, poll_seconds=60))
    admin = {"Authorization": f"Bearer {TOKENS.issue(Caller('root', 'admin', 'gateway'))}"}
    client = httpx.Client(base_url=address, headers=admin, trust_env=False, timeout=30)
    return Asking(ending.enter_context(client))


def test_no_prediction_is_given_that_a_frozen_database_could_not_log(
    own_postgres: Any, start: Callable[..., Asking], folders: Any, eventually: Callable[..., None]
) -> None:
    predictions = own_postgres.database()
    ask = start(own_postgres.database(), predictions, folders)
    everything = ("predict", "explained", "stations", "ready", "live", "model")
    assert ask(*everything, times=2) == all_of(everything, 200)
    own_postgres.freeze()
    try:
        assert ask(*everything, times=6) == {
            **all_of(("predict", "explained", "stations", "ready"), 503),
            "live": {200}, "model": {200},
        }  # fmt: skip
    finally:
        own_postgres.thaw()
    eventually(lambda: ask("ready", "predict", "stations") == all_of(("ready", "predict", "stations"), 200))
    assert ask(*everything, times=2) == all_of(everything, 200)
    given = [ask.all["predict"]().json()["prediction_id"] for _ in range(3)]
    engine = connect(predictions)
    assert set(given) <= {record.prediction_id for record in records(engine)}
    engine.dispose()


def test_a_frozen_registry_keeps_no_prediction_waiting(
    start: Callable[..., Asking], folders: Any, tmp_path: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody answers
        registry = replace(Registry(f"http://127.0.0.1:{silent.getsockname()[1]}", "rain-tomorrow"), seconds=5.0)
        ask = start(f"sqlite:///{tmp_path / 'o.db'}", f"sqlite:///{tmp_path / 'p.db'}", registry)
        with ThreadPoolExecutor(1) as threads:
            admins = threads.submit(ask, "models", times=10)
            names = ("predict", "explained", "forecast", "ready", "model")
            began = time.monotonic()
            assert ask(*names, times=4) == all_of(names, 200)
            assert time.monotonic() - began < 4
            assert admins.result() == {"models": {503}}


def test_each_fault_between_model_api_and_registry_costs_a_deadline(
    start: Callable[..., Asking], serve: Callable[[Any], str], fault_proxy: Callable[[str], Any],
    each_fault: Callable[..., None], tmp_path: Any,
) -> None:  # fmt: skip
    async def mlflow(_: Request) -> Response:
        return JSONResponse({"registered_model": {}})

    proxy = fault_proxy(serve(Starlette(routes=[Route("/{path:path}", mlflow)])))
    registry = Registry(proxy.address, "rain-tomorrow", seconds=1.0)
    ask = start(f"sqlite:///{tmp_path / 'o.db'}", f"sqlite:///{tmp_path / 'p.db'}", registry)

    def models() -> set[int]:
        statuses = ask("models", "predict", "ready")
        assert statuses["predict"] == statuses["ready"] == {200}, "what serves serves on"
        return statuses["models"]

    each_fault("model API → registry", proxy, models, most_seconds=3)


def test_each_fault_between_model_api_and_database_is_told_and_goes_by(
    start: Callable[..., Asking], postgres: Callable[[], str], folders: Any, fault_proxy: Callable[[Path], Any],
    each_fault: Callable[..., None],
) -> None:  # fmt: skip
    address = make_url(postgres())
    proxy = fault_proxy(Path(str(address.query["host"]), ".s.PGSQL.5432"))
    through = address.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string()
    ask = start(through, through, folders, Waits(statement=1, lock=1))

    each_fault("model API → PostgreSQL", proxy, lambda: set().union(*ask("predict", "stations", "ready").values()))
