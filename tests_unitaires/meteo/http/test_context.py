import asyncio
import re

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message


def test_a_sane_request_id_is_kept_and_another_replaced(client: TestClient) -> None:
    assert client.get("/number/1", headers={"X-Request-ID": "abcdef-123"}).headers["X-Request-ID"] == "abcdef-123"
    for insane in ("short", "x" * 100, "with space in it", "a;b;c;d;e;f"):
        given = client.get("/number/1", headers={"X-Request-ID": insane}).headers["X-Request-ID"]
        assert given != insane
        assert len(given) == 32


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
