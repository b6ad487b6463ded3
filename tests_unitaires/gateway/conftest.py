import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway import wire
from gateway.airflow import Airflow
from gateway.app import create_app
from gateway.audit import Audit
from gateway.keys import Keys
from gateway.mlflow import Mlflow
from gateway.rates import Limiter, Rates
from gateway.services import Services
from gateway.sessions import Sessions
from gateway.tokens import AccessTokens
from gateway.upstream import ModelApi, Upstream
from gateway.users import Users
from meteo.auth import ServiceTokens
from meteo.database import connect

SECRET = "j" * 40
SERVICE_SECRET = "s" * 40
PASSWORD = "correct horse battery"


@dataclass
class Behind:
    """What stands behind the gateway in these tests: it records each call and answers what it is told to."""

    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answers: dict[str, Response] = field(default_factory=dict)

    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            path = request.scope["raw_path"].decode().split("?")[0]
            self.calls.append((request.method, path, dict(request.headers), await request.body()))
            return self.answers.get(f"{request.method} {path}", JSONResponse({"path": path}))

        return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])

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
def upstreams(serve: Callable[[Any], str], behind: Behind) -> list[Upstream]:
    address = serve(behind.app())
    return [Upstream(name, address, 5) for name in ("the model API", "Airflow", "MLflow")]


@pytest.fixture
def services(tmp_path: Path, upstreams: list[Upstream]) -> Services:
    engine = connect(f"sqlite:///{tmp_path / 'gateway.db'}")
    model_api, airflow, mlflow = upstreams
    users = Users(engine)
    users.create_tables()
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
        Airflow(airflow, "gateway", "airflow-password"),
        Mlflow(mlflow, "monitoring"),
    )


@pytest.fixture
def open_door(upstreams: list[Upstream], eventually: Callable[..., None]) -> Iterator[Callable[[Services], int]]:
    """Starts the gateway's real server, on its own protocol; its port."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(services: Services) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        app = create_app(services, upstreams)
        config = uvicorn.Config(app, http=wire.Wire, log_config=None, access_log=False, forwarded_allow_ips="")
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
