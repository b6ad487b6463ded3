from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from meteo.errors import InvalidInput, NotAuthenticated, Unavailable
from meteo.http.date_range import Days
from meteo.http.requests import read_json
from meteo.http.service import install_service
from meteo.schemas.ingestions import IngestionRequest


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    missing: list[str] = []

    async def first_missing() -> str | None:
        return missing[0] if missing else None

    install_service(app, CollectorRegistry(), first_missing)

    @app.get("/away")
    async def away() -> None:
        raise Unavailable("the database is away", retry_after=7)

    @app.get("/who")
    async def who() -> None:
        raise NotAuthenticated("log in")

    @app.get("/wrong")
    async def wrong() -> None:
        raise InvalidInput("station: unknown", [("station", "unknown")])

    @app.get("/defect")
    async def defect() -> None:
        raise RuntimeError("canary in the stack")

    @app.get("/number/{value}")
    async def number(value: int) -> int:
        return value

    @app.post("/body")
    async def body(request: Request) -> str:
        return str((await read_json(request, IngestionRequest)).start)

    @app.get("/days")
    async def days(asked: Days) -> dict[str, str]:
        return asked.params

    @app.post("/unready")
    async def unready() -> None:
        missing.append("no model yet")

    with TestClient(app, raise_server_exceptions=False) as found:
        yield found
