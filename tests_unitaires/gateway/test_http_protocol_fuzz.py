"""Streams of bytes made from good requests and damaged, sent to a real server: `make fuzz [SECONDS=600]` for long.

The oracle reads a stream anew, by rules so narrow that whatever the server takes in must pass them.
"""

import asyncio
import itertools
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from gateway import http_protocol

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES = 400
PATIENCE_SECONDS = 2.0
"""How long server and application of these tests wait for what does not come; more than a busy machine ever stalls."""
SEEDS = Path(__file__).with_name("wire_seeds.txt")
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b":", b";", b"0", b"-1", b"\x80", b"\r\n ", b"\r\n\r\n", b"0\r\n\r\n",
    b"ffffffffffffffffff", b"HTTP/1.0", b"http://y/", b"Host: y\r\n", b"Content-Length: 5\r\n",
    b"Connection: close\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Authorization: a\r\n",
    b"Expect: 100-continue\r\n", b"X-A: a\r\n" * 101, b"a" * 33_000,
]  # fmt: skip


def seeds() -> list[bytes]:
    """Requests and pipelines, separated by lines of dashes and written as Python writes bytes."""
    return [
        part.replace("\n", "").encode("ascii").decode("unicode_escape").encode("latin-1")
        for part in SEEDS.read_text(encoding="ascii").split("----\n")
    ]


@dataclass(frozen=True)
class Seen:
    """A request as the application had it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Some seeds, one behind the other, maybe damaged, in pieces as they are sent."""
    stream = b"".join(draw(st.lists(st.sampled_from(seeds()), min_size=1, max_size=4)))
    for _ in range(draw(st.integers(0, 4))):
        start, length = draw(st.integers(0, len(stream))), draw(st.integers(0, 12))
        end = min(len(stream), start + length)
        new = draw(
            st.one_of(st.just(b""), st.sampled_from(PIECES), st.binary(max_size=3), st.just(stream[start:end] * 2))
        )
        stream = stream[:start] + new + stream[end:]
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    return [stream[start:end] for start, end in itertools.pairwise([0, *cuts, len(stream)])]


def read_anew(stream: bytes, seen: Seen) -> bytes:
    """What follows a request that the application had; AssertionError when the stream did not begin with it."""
    head, end, rest = stream.lstrip(b"\r\n").partition(b"\r\n\r\n")
    assert end
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip(" \t")) for name, _, value in (field.partition(":") for field in fields)]
    assert headers == seen.headers
    method, target, version = line.split(" ")
    assert method == seen.method
    assert version in ("HTTP/1.1", "HTTP/1.0")
    given = dict(headers)
    for single in ("host", "content-length", "transfer-encoding", "content-type", "authorization"):
        assert [name for name, _ in headers].count(single) <= 1
    assert re.fullmatch(r"[\w.~-]+(:\d*)?|\[[\da-fA-F:.]+\](:\d*)?", given["host"])
    assert target in (seen.target, f"http://{given['host']}{seen.target}")
    if "transfer-encoding" not in given:
        length = int(given.get("content-length", "0"))
        assert rest[:length] == seen.body
        return rest[length:]
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        chunk = int(size.partition(b";")[0], 16)
        assert chunk >= 0
        if chunk == 0:
            break
        body, rest = body + rest[:chunk], rest[chunk:].removeprefix(b"\r\n")
    assert body == seen.body
    while (trailer := rest.partition(b"\r\n"))[0]:
        rest = trailer[2]
    return trailer[2]


def exchange(port: int, parts: list[bytes]) -> bytes:
    """All that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        with suppress(ConnectionError):  # it was closed while we were still talking
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionError):
            while chunk := connection.recv(65536):
                answer += chunk
        return answer


@pytest.mark.slow
def test_whatever_comes_is_answered_in_order_and_as_it_was_written(
    listen: Callable[[Any], int], responses: Callable[[bytes], list[tuple[int, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(http_protocol, "LINGER_SECONDS", PATIENCE_SECONDS)
    every: list[Seen] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            with suppress(ClientDisconnect):
                await (await answer(Request(scope, receive), every))(scope, receive, send)

    port = listen(app)

    def check(parts: list[bytes]) -> None:
        every.clear()
        answers = responses(exchange(port, [*parts, LAST]))
        stream = b"".join(parts) + LAST
        for seen in every:
            stream = read_anew(stream, seen)
        good = len(every)
        assert [status for status, _ in answers[:good]] == [200] * good
        assert [status for status, _ in answers[good:]] in ([], [400], [408], [431])
        assert answers
        assert responses(exchange(port, [LAST])) == [(200, b"/last")]

    for seed in seeds():
        check([seed])
    before = memory()
    fuzz = settings(
        max_examples=500 if SECONDS else EXAMPLES, derandomize=not SECONDS, database=None, deadline=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )(given(streams())(check))  # fmt: skip
    end = time.monotonic() + SECONDS
    fuzz()
    while time.monotonic() < end:
        fuzz()
    assert memory() - before < 50e6


async def answer(request: Request, every: list[Seen]) -> Response:
    """What the application answers to a request when its body is complete; it is recorded then."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            body = await request.body()
    except TimeoutError:
        return Response(status_code=408, headers={"Connection": "close"})
    target: bytes = request.scope["raw_path"]
    if query := request.scope["query_string"]:
        target += b"?" + query
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]]
    every.append(Seen(request.method, target.decode("latin-1"), headers, body))
    return Response() if request.method == "HEAD" else PlainTextResponse(request.url.path)


def memory() -> int:
    """Resident bytes of this process, which is the server's as well."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
