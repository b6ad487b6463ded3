import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import limits.aio.storage.memory
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway import http_protocol
from gateway.airflow import Airflow
from gateway.api_keys import Keys
from gateway.app import create_app
from gateway.audit import Audit
from gateway.dependencies import Services
from gateway.mlflow import Mlflow
from gateway.model_api import ModelApi
from gateway.rate_limits import Limiter, Rates
from gateway.sessions import Sessions
from gateway.tokens import AccessTokens
from gateway.upstream import Upstream
from gateway.users import Users
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import ServiceTokens

SECRET = "j" * 40
SERVICE_SECRET = "s" * 40
PASSWORD = "correct horse battery"


CARD = {"name": "rain-tomorrow", "version": "3"}
PREDICTED = {
    "prediction_id": "p1", "station": "Sydney", "date": "2024-01-01", "probability": 0.5, "rain_tomorrow": True,
    "period": {"start": "2024-01-01T09:00:00+11:00", "end": "2024-01-02T09:00:00+11:00"}, "threshold": 0.3,
    "model": CARD, "missing": [], "neighbours_used": 0, "request_id": "request-0001", "simulated": True,
}  # fmt: skip
FORECAST = {"date": "2024-01-01", "model": CARD, "threshold": 0.3, "simulated": True, "stations": []}
REFUSED_ROW = {
    "id": 1, "run_id": 3, "source": "file", "product": "p", "site": "s", "file": "f", "station": "Sydney", "day": None,
    "reason": "r", "fields": [], "row": {}, "state": "released", "decided_by": "root", "decided_at": None,
}  # fmt: skip
MODEL_API = {
    "POST /predict": PREDICTED, "GET /forecast": FORECAST, "GET /model": CARD, "GET /models/7": CARD,
    "POST /uploads": {"id": 1, "name": "a.csv"}, "POST /models/4/promote": {"version": "4", "previous": "3"},
    "POST /models/rollback": {"version": "3", "previous": "4"}, "POST /quarantine/7/release": REFUSED_ROW,
}  # fmt: skip
"""What the model API answers where it is no list; lists are empty."""


@pytest.fixture(autouse=True)
def no_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory rates are counted by the clock's minutes and hours, of which each begins with the test: a test on both
    sides of an end would see one more pass."""
    since = time.time() % 3600
    monkeypatch.setattr(limits.aio.storage.memory, "time", SimpleNamespace(time=lambda: time.time() - since))


@dataclass
class Behind:
    """What stands behind the gateway in these tests: it records each call and answers what it is told to."""

    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answers: dict[str, Response] = field(default_factory=dict)

    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            path = request.scope["raw_path"].decode().split("?")[0]
            self.calls.append((request.method, path, dict(request.headers), await request.body()))
            call = f"{request.method} {path}"
            return self.answers.get(call, JSONResponse(MODEL_API.get(call, [])))

        return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PATCH"])])

    def airflow(self) -> None:
        """Answer as Airflow does when nothing runs."""
        self.answers["POST /auth/token"] = JSONResponse({"access_token": "airflow-token"}, 201)
        self.answers["GET /api/v2/dags/ingestion/dagRuns"] = JSONResponse({"dag_runs": [], "total_entries": 0})
        self.answers["POST /api/v2/dags/ingestion/dagRuns"] = JSONResponse({"dag_run_id": "manual__1"})
        self.answers["GET /api/v2/monitor/health"] = JSONResponse({"scheduler": {"status": "healthy"}})
        self.answers["GET /health"] = PlainTextResponse("OK")
        self.answers["GET /state"] = JSONResponse({"model_version": "3", "model_problem": None, "simulated": True})


@pytest.fixture
def behind() -> Behind:
    return Behind()


@pytest.fixture
def open_upstreams(serve: Callable[[Any], str], behind: Behind) -> Callable[[], list[Upstream]]:
    address = serve(behind.app())
    return lambda: [Upstream(name, address, 5) for name in ("the model API", "Airflow", "MLflow")]


@pytest.fixture
def upstreams(open_upstreams: Callable[[], list[Upstream]]) -> list[Upstream]:
    return open_upstreams()


@pytest.fixture(scope="session")
def make_services() -> Callable[[str, list[Upstream]], Services]:
    """What a gateway on the database of this address works with; ann is a user there, root an admin."""

    def make(address: str, upstreams: list[Upstream]) -> Services:
        engine = connect(address)
        model_api, airflow, mlflow = upstreams
        users = Users(engine)
        users.create_tables()
        if not users.all():
            users.add("ann", PASSWORD, "user")
            users.add("root", PASSWORD, "admin")
        return Services(
            users,
            Sessions(engine, AccessTokens(SECRET, 15), 7),
            Audit(engine),
            Keys(engine),
            Limiter(Rates()),
            False,
            ModelApi(model_api, ServiceTokens(SERVICE_SECRET)),
            Airflow(airflow, engine, "gateway", "airflow-password"),
            Mlflow(mlflow, "monitoring"),
        )

    return make


@pytest.fixture
def services_on(
    upstreams: list[Upstream], make_services: Callable[..., Services]
) -> Iterator[Callable[[str], Services]]:
    """The same, whose connections end with the test."""
    made: list[Services] = []

    def make(address: str) -> Services:
        made.append(make_services(address, upstreams))
        return made[-1]

    yield make
    for services in made:
        services.users._engine.dispose()


@pytest.fixture
def services(tmp_path: Path, services_on: Callable[[str], Services]) -> Services:
    return services_on(f"sqlite:///{tmp_path / 'gateway.db'}")


@pytest.fixture
def listen(eventually: Callable[..., None]) -> Iterator[Callable[[Any], int]]:
    """Serves an ASGI application by the gateway's own protocol; its port."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, http=http_protocol.StrictHttpProtocol, log_config=None, access_log=False, forwarded_allow_ips=""
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread))
        eventually(lambda: server.started)
        return int(listener.getsockname()[1])

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture(scope="session")
def responses() -> Callable[[bytes], list[tuple[int, bytes]]]:
    """Status and body of each response in a stream that holds nothing else, all by Content-Length."""

    def read(stream: bytes) -> list[tuple[int, bytes]]:
        answers = []
        while stream:
            head, _, rest = stream.partition(b"\r\n\r\n")
            status = re.match(rb"HTTP/1\.1 ([1-5][0-9]{2}) [A-Za-z -]+\r\n", head + b"\r\n")
            length = re.findall(rb"\r\ncontent-length: ([0-9]+)", head)
            assert status, head
            if status[1] != b"100":
                assert len(length) == 1, head
                assert len(rest) >= int(length[0]), "a response was cut off"
                answers.append((int(status[1]), rest[: int(length[0])]))
                rest = rest[int(length[0]) :]
            stream = rest
        return answers

    return read


@pytest.fixture
def open_door(upstreams: list[Upstream], listen: Callable[[Any], int]) -> Callable[[Services], int]:
    """Starts the gateway; its port."""
    return lambda services: listen(create_app(services, upstreams))


@pytest.fixture
def open_client(open_door: Callable[[Services], int]) -> Iterator[Callable[[Services], httpx.Client]]:
    """A client, over real HTTP, of a gateway that has these services."""
    clients: list[httpx.Client] = []

    def start(services: Services) -> httpx.Client:
        address = f"http://127.0.0.1:{open_door(services)}"
        clients.append(httpx.Client(base_url=address, trust_env=False, timeout=30))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture
def door(services: Services, open_door: Callable[[Services], int]) -> int:
    return open_door(services)


@pytest.fixture
def client(services: Services, open_client: Callable[[Services], httpx.Client]) -> httpx.Client:
    return open_client(services)


@pytest.fixture
def log_in(client: httpx.Client) -> Callable[[str], dict[str, str]]:
    """The Authorization header of a fresh session."""

    def start(username: str) -> dict[str, str]:
        pair = client.post("/token", data={"username": username, "password": PASSWORD}).json()
        return {"Authorization": f"Bearer {pair['access_token']}"}

    return start
