"""Routes: one that hands over the request itself, one whose plain functions run in threads."""

import threading
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from fastapi.testclient import TestClient

from meteo.errors import NotFound
from meteo.http.problems import on_meteo_error
from meteo.http.routing import DirectRoute, Route


@pytest.fixture
def client() -> TestClient:
    direct, routed = APIRouter(route_class=DirectRoute), APIRouter(route_class=Route)

    async def never() -> None:
        raise AssertionError("a direct route resolves no dependencies")

    @direct.post("/direct", response_model=int, openapi_extra={"x-told": "yes"})
    async def answer(request: Request, _: Annotated[None, Depends(never)] = None) -> Response:
        if await request.body() == b"nobody":
            raise NotFound("there is nobody")
        return PlainTextResponse(f"{request.url.path} {(await request.body()).decode()}")

    @routed.get("/plain")
    def where() -> str:
        return threading.current_thread().name

    @routed.get("/coroutine")
    async def here() -> str:
        return threading.current_thread().name

    app = FastAPI()
    app.router.routes.extend(direct.routes)
    app.include_router(routed)
    app.add_exception_handler(NotFound, on_meteo_error)

    @app.middleware("http")
    async def name(request: Request, forward: object) -> Response:
        request.state.request_id = "r" * 32
        answered: Response = await forward(request)  # type: ignore[operator]
        return answered

    return TestClient(app)


def test_a_direct_route_answers_what_its_endpoint_returns_unchecked(client: TestClient) -> None:
    answer = client.post("/direct", content=b"hello")
    assert (answer.status_code, answer.text) == (200, "/direct hello")
    assert client.get("/direct").status_code == 405


def test_an_error_of_a_direct_route_is_a_problem_as_elsewhere(client: TestClient) -> None:
    answer = client.post("/direct", content=b"nobody")
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is nobody")


def test_a_direct_route_is_documented(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/direct"]["post"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["type"] == "integer"
    assert operation["x-told"] == "yes"


def test_a_plain_function_does_not_stop_the_event_loop(client: TestClient) -> None:
    with client:
        assert client.get("/plain").json() != client.get("/coroutine").json()
