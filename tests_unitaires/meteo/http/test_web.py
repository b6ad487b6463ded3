import asyncio
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from starlette.types import Message

from meteo.errors import InvalidInput, NotAuthenticated, Unavailable
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

    @app.post("/unready")
    async def unready() -> None:
        missing.append("no model yet")

    with TestClient(app, raise_server_exceptions=False) as found:
        yield found


def test_a_sane_request_id_is_kept_and_another_replaced(client: TestClient) -> None:
    assert client.get("/number/1", headers={"X-Request-ID": "abcdef-123"}).headers["X-Request-ID"] == "abcdef-123"
    for insane in ("short", "x" * 100, "with space in it", "a;b;c;d;e;f"):
        given = client.get("/number/1", headers={"X-Request-ID": insane}).headers["X-Request-ID"]
        assert given != insane
        assert len(given) == 32


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [("/away", 503, "Unavailable"), ("/who", 401, "Not authenticated"), ("/wrong", 422, "Invalid input"),
     ("/nowhere", 404, "Not Found"), ("/body", 405, "Method Not Allowed"), ("/number/x", 422, "Invalid input"),
     ("/defect", 500, "Internal Server Error")],
)  # fmt: skip
def test_every_error_is_a_problem_with_the_request_id(client: TestClient, path: str, status: int, title: str) -> None:
    answer = client.get(path)
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["title"], body["instance"], body["type"]) == (title, path, "about:blank")
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert body["detail"]
    assert "canary" not in answer.text


def test_errors_name_the_field_and_say_when_to_come_back(client: TestClient) -> None:
    assert client.get("/wrong").json()["errors"] == [{"field": "station", "message": "unknown"}]
    assert client.get("/away").headers["Retry-After"] == "7"
    assert client.get("/who").headers["WWW-Authenticate"] == "Bearer"


def test_a_body_is_parsed_strictly_but_dates_are_text(client: TestClient) -> None:
    assert client.post("/body", content='{"start": "2024-01-01"}').json() == "2024-01-01"
    assert client.post("/body").json() == "None"
    refused = client.post("/body", content='{"start": 20240101, "canary": 1}')
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["start", "canary"]


def test_health_and_metrics_tell_the_truth(client: TestClient) -> None:
    client.get("/number/5")
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").status_code == 200
    client.post("/unready")
    unready = client.get("/health/ready")
    assert (unready.status_code, unready.json()["detail"]) == (503, "no model yet")
    text = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/number/{value}",status="200"} 1.0' in text


def test_a_sender_who_leaves_in_the_middle_is_no_defect(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return said.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/body", "raw_path": b"/body", "query_string": b"",
             "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http"}  # fmt: skip

    async def ask() -> None:
        await client.app(scope, receive, send)

    asyncio.run(ask())
    assert sent == []
    metrics = client.get("/metrics").text
    assert re.search(r'http_requests_total\{[^}]*route="/body"[^}]*status="499"[^}]*\} 1\.0', metrics)
    assert "defect" not in capsys.readouterr().out
