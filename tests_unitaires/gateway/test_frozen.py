"""What stands beside the gateway is frozen, by SIGSTOP, or its link has a fault. Real servers."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, make_url

from gateway.airflow import Airflow
from gateway.api_keys import Keys
from gateway.audit import Audit
from gateway.dependencies import Services
from gateway.mlflow import Mlflow
from gateway.model_api import ModelApi
from gateway.rate_limits import Limiter, Rates
from gateway.sessions import Sessions
from gateway.tokens import AccessTokens
from gateway.upstream import Upstream
from gateway.users import Users
from meteo.runtime.database import SERVICE, Waits, connect
from meteo.runtime.service_tokens import ServiceTokens

pytestmark = pytest.mark.slow

ANN = {"username": "ann", "password": "correct horse battery"}
MOST_SECONDS = 6
Ask = Callable[[], httpx.Response]


@pytest.fixture
def wire(behind: Any, upstreams: list[Upstream]) -> Iterator[Callable[..., Services]]:
    """Services on a database and a store of rates; of a user ann."""
    engines = []

    def make(database: str, rates: str, waits: Waits = SERVICE, logins: str = "10/5 minutes") -> Services:
        engine = connect(database, waits)
        engines.append(engine)
        model_api, airflow, mlflow = upstreams
        users = Users(engine)
        users.create_tables()
        users.add(ANN["username"], ANN["password"], "user")
        return Services(
            users, Sessions(engine, AccessTokens("j" * 40, 15), 7), Audit(engine), Keys(engine),
            Limiter(Rates(rates, user="1000/minute", failures_per_account=logins)), False,
            ModelApi(model_api, ServiceTokens("s" * 40)),
            Airflow(airflow, engine, "gateway", "airflow-password"), Mlflow(mlflow, "monitoring"),
        )  # fmt: skip

    yield make
    for engine in engines:
        engine.dispose()


def all_of(names: Iterable[str], status: int) -> dict[str, set[int]]:
    return {name: {status} for name in names}


class Asking:
    """Everything asked at once, as often as is wanted."""

    def __init__(self, client: httpx.Client) -> None:
        client.headers["Authorization"] = f"Bearer {client.post('/token', data=ANN).json()['access_token']}"
        self.client = client
        self.all: dict[str, Ask] = {
            "token": lambda: client.post("/token", data=ANN),
            "me": lambda: client.get("/me"),
            "predict": lambda: client.post("/predict", json={}),
            "ready": lambda: client.get("/health/ready"),
            "live": lambda: client.get("/health/live"),
            "status": lambda: client.get("/status"),
        }

    def __call__(self, *names: str, times: int = 1) -> dict[str, list[httpx.Response]]:
        with ThreadPoolExecutor(len(names) * times) as threads:
            began = time.monotonic()
            futures = {name: [threads.submit(self.all[name]) for _ in range(times)] for name in names}
            answers = {name: [future.result() for future in asked] for name, asked in futures.items()}
        assert time.monotonic() - began < MOST_SECONDS
        return answers

    def statuses(self, *names: str, times: int = 1) -> dict[str, set[int]]:
        return {name: {one.status_code for one in answers} for name, answers in self(*names, times=times).items()}


@pytest.fixture
def asking(open_client: Callable[[Services], httpx.Client], behind: Any) -> Callable[[Services], Asking]:
    behind.airflow()
    return lambda services: Asking(open_client(services))


def seen(ask: Asking, name: str) -> set[int]:
    """What this and readiness are answered, asked at once."""
    answers = [answer for (answer,) in ask(name, "ready").values()]
    assert all(int(one.headers["retry-after"]) > 0 for one in answers if one.status_code == 503)
    return {one.status_code for one in answers}


def test_each_fault_of_the_database_is_told_and_goes_by(
    postgres: Callable[[], str], wire: Callable[..., Services], asking: Callable[[Services], Asking],
    fault_proxy: Callable[[Path], Any], each_fault: Callable[..., None],
) -> None:  # fmt: skip
    address = make_url(postgres())
    proxy = fault_proxy(Path(str(address.query["host"]), ".s.PGSQL.5432"))
    through = address.set(host="127.0.0.1", port=proxy.port, query={})
    ask = asking(wire(through.render_as_string(), "memory://", Waits(statement=1, lock=1)))
    each_fault("gateway → PostgreSQL", proxy, lambda: seen(ask, "me"))


def test_each_fault_of_redis_is_told_and_goes_by(
    redis: str, wire: Callable[..., Services], asking: Callable[[Services], Asking],
    fault_proxy: Callable[[Path], Any], each_fault: Callable[..., None], tmp_path: Path,
) -> None:  # fmt: skip
    proxy = fault_proxy(Path(redis.removeprefix("redis+unix://")))
    ask = asking(wire(f"sqlite:///{tmp_path / 'accounts.db'}", f"redis://127.0.0.1:{proxy.port}"))
    each_fault("gateway → Redis", proxy, lambda: seen(ask, "predict"))


def test_a_frozen_database_costs_a_deadline_and_no_restart(
    own_postgres: Any, wire: Callable[..., Services], asking: Callable[[Services], Asking],
    eventually: Callable[..., None],
) -> None:  # fmt: skip
    ask = asking(wire(own_postgres.database(), "memory://"))
    assert ask.statuses("token", "me", "predict", "ready", times=4) == all_of(("token", "me", "predict", "ready"), 200)
    own_postgres.freeze()
    try:
        answers = ask("token", "me", "predict", "ready", "live", "status", times=10)
        frozen = {name: {one.status_code for one in found} for name, found in answers.items()}
        assert frozen == {
            "token": {503}, "me": {503}, "predict": {503}, "ready": {503}, "live": {200}, "status": {200}
        }  # fmt: skip
        assert all(int(one.headers["retry-after"]) > 0 for name in ("token", "me", "ready") for one in answers[name])
        began = time.monotonic()
        assert ask.client.get("/health/ready").json()["detail"] == "the database of accounts does not answer"
        assert time.monotonic() - began < 2
    finally:
        own_postgres.thaw()
    eventually(lambda: ask.client.get("/health/ready").status_code == 200)
    eventually(lambda: ask.client.get("/me").status_code == 200)
    wrong = {**ANN, "password": "not it"}
    guesses = [ask.client.post("/token", data=wrong).status_code for _ in range(6)]
    assert guesses == [401] * 6, "a login that was answered 503 is no guess"
    assert ask.statuses("token", "me", "predict", times=4) == all_of(("token", "me", "predict"), 200)


def test_a_frozen_redis_lets_nobody_in_and_keeps_nobody_waiting(
    own_redis: Any, wire: Callable[..., Services], asking: Callable[[Services], Asking], tmp_path: Path
) -> None:
    ask = asking(wire(f"sqlite:///{tmp_path / 'accounts.db'}", own_redis.address))
    assert ask.statuses("token", "predict", times=4) == {"token": {200}, "predict": {200}}
    own_redis.freeze()
    try:
        assert ask.statuses("token", "me", "predict", "ready", "live", times=10) == {
            "token": {503}, "me": {200}, "predict": {503}, "ready": {503}, "live": {200}
        }  # fmt: skip
    finally:
        own_redis.thaw()
    assert ask.statuses("token", "me", "predict", "ready", times=4) == all_of(("token", "me", "predict", "ready"), 200)


def test_who_writes_into_a_locked_file_keeps_no_reader_waiting(
    wire: Callable[..., Services], asking: Callable[[Services], Asking], tmp_path: Path
) -> None:
    path = tmp_path / "accounts.db"
    ask = asking(wire(f"sqlite:///{path}", "memory://", logins="20/minute"))
    with create_engine(f"sqlite:///{path}").connect() as other, ThreadPoolExecutor(20) as threads:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        writers = [threads.submit(ask.all["token"]) for _ in range(20)]
        slowest = 0.0
        while not all(writer.done() for writer in writers):
            began = time.monotonic()
            assert ask.client.get("/me").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 1
        assert {writer.result().status_code for writer in writers} == {503}
        other.rollback()
    assert ask.statuses("token", "me") == {"token": {200}, "me": {200}}
