"""Malformed, endless and dripping requests, as raw bytes to the gateway's real server."""

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from gateway import http_protocol
from gateway.dependencies import Services

Responses = Callable[[bytes], list[tuple[int, bytes]]]


def send(port: int, *parts: bytes, pause: float = 0.0, most: float = 30.0) -> bytes:
    """All that comes back until the other side closes; TimeoutError when it never does."""
    with socket.create_connection(("127.0.0.1", port), timeout=most) as connection:
        found = b""
        try:
            for part in parts:
                connection.sendall(part)
                if select.select([connection], [], [], pause)[0]:
                    break  # we were answered
            while chunk := connection.recv(65536):
                found += chunk
        except ConnectionError:
            pass  # closed while we were still talking
        return found


@pytest.fixture
def plain(listen: Callable[[Any], int]) -> int:
    """The port of an application that is content with everything."""
    return listen(PlainTextResponse("x"))


HEAD = b"GET /status HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /status HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /status HTTP/1.1\r\n\r\n",
        HEAD + b"X-Folded: a\r\n b\r\n\r\n",
        b"GET /status HTTP/1.1\nHost: x\n\n",
        HEAD + b"Bad Name: x\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /token HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc",
        HEAD + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
        b"GET /status\r\n\r\n",
        b"GET /status HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /status#part HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n",
        b"GET http://u@x/status HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://y/status HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET ftp://x/status HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["two lengths", "length and chunks", "two hosts", "no host", "folded", "bare LF", "spaced name", "garbage",
         "bad chunk", "coded chunks", "upgrade", "two logins", "0.9", "2.0", "fragment", "asterisk", "tunnel",
         "user in target", "other host in target", "other scheme in target"],
)  # fmt: skip
def test_what_is_no_http_gets_one_400_and_the_door_closes(plain: int, request_bytes: bytes) -> None:
    answer = send(plain, request_bytes, most=5)
    assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "host",
    [b"a/b", b"u@h", b"u:p@h:80", b"", b"a b", b"a?b", b"a#b", b"a\\b", b"a,b", b"h:x", b"h:99999", b"h:80:80", b"[::1",
     b"[zz]", b"[:::1]", b"::1", "höst".encode(), b"h%00", b"<h>", b"a" * 300],
)  # fmt: skip
def test_a_host_that_is_none_is_refused(plain: int, host: bytes) -> None:
    answer = send(plain, b"GET /status HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", most=5)
    assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("host", [b"x", b"x:8001", b"x:", b"api_model.svc.cluster.local", b"127.0.0.1", b"[::1]:80"])
def test_a_host_may_have_a_port_and_may_be_named_by_the_target(plain: int, host: bytes) -> None:
    for target in (b"/health/live", b"http://" + host + b"/health/live"):
        request = b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
        assert send(plain, request, most=5).startswith(b"HTTP/1.1 200"), target


@pytest.mark.parametrize(
    "header",
    [b"X-Long: " + b"a" * 100_000, b"\r\n".join(b"X-%d: y" % n for n in range(9000)),
     b"\r\n".join(b"X-%d: y" % n for n in range(2000))],
)  # fmt: skip
def test_a_head_without_measure_is_refused(plain: int, header: bytes) -> None:
    assert send(plain, HEAD + header + b"\r\n\r\n", most=5).startswith(b"HTTP/1.1 431")
    if len(header) > http_protocol.MOST_HEAD_BYTES:
        assert send(plain, HEAD + header, most=5).startswith(b"HTTP/1.1 431")


def test_as_many_headers_as_may_be_are_taken_and_no_more(plain: int) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    for more, status in ((98, b"200"), (99, b"431")):
        headers = b"".join(b"X-%d: y\r\n" % n for n in range(more))
        assert send(plain, head + headers + b"\r\n", most=5).startswith(b"HTTP/1.1 " + status)
    assert send(plain, b"GET /" + b"a" * 33_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 431")


CHUNKED = b"POST /token/refresh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_trailers_are_no_headers(door: int, log_in: Callable[[str], dict[str, str]], pieces: int) -> None:
    trailers = "".join(f"{name}: {value}\r\n" for name, value in log_in("ann").items())
    request = CHUNKED.replace(b"POST /token/refresh", b"GET /me") + b"\r\n1\r\n{\r\n0\r\n" + trailers.encode()
    request += b"Host: y\r\nContent-Encoding: gzip\r\n\r\n"
    size = len(request) // pieces + 1
    answer = send(door, *(request[at : at + size] for at in range(0, len(request), size)), pause=0.01, most=5)
    assert answer.startswith(b"HTTP/1.1 401"), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "rest", [b"0\r\n" + b"X-A: " + b"a" * 50_000, b"0\r\nX-A: a\r\n", b"1;" + b"a" * 1000],
    ids=["one long", "many", "chunk extension"],
)  # fmt: skip
def test_trailers_without_measure_are_refused_and_take_no_memory(door: int, rest: bytes) -> None:
    def memory() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    endless = (rest.removeprefix(b"0\r\n") * (200_000 // len(rest)) for _ in range(300))
    before = memory()
    answer = send(door, CHUNKED + b"\r\n2\r\n{}\r\n" + rest, *endless)
    assert answer.startswith(b"HTTP/1.1 431"), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1
    assert memory() - before < 40e6


BAD = {
    "bad head": (b"GET /b HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n", 400),
    "bad host": (b"GET /b HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "bad body": (b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400),
    "expected and bad": (
        b"POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 400
    ),
    "large head": (b"GET /b HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    "many headers": (b"GET /b HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 100 + b"\r\n", 431),
    "slow head": (b"GET /b HTTP/1.1\r\nHost: x\r\nX-A: ", 408),
    "garbage": (b"\x00\x01\x02", 400),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "status"), BAD.values(), ids=list(BAD))
@pytest.mark.parametrize("apart", [False, True], ids=["one packet", "two packets"])
def test_the_good_request_before_a_bad_one_keeps_its_answer(
    listen: Callable[[Any], int], responses: Responses, monkeypatch: pytest.MonkeyPatch, bad: bytes, status: int,
    apart: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.05)
    at_work, release = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] != "/b":
            at_work.set()
            await asyncio.to_thread(release.wait, 10)
            await PlainTextResponse(scope["path"])(scope, receive, send)

    good = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(3))
    with socket.create_connection(("127.0.0.1", listen(app)), timeout=10) as connection:
        if apart:
            connection.sendall(good)
            assert at_work.wait(10)
            connection.sendall(bad)
        else:
            connection.sendall(good + bad)
        assert not select.select([connection], [], [], 0.1)[0], "it was refused before the good one was answered"
        release.set()
        answers = responses(b"".join(iter(lambda: connection.recv(65536), b"")))
    assert answers[:3] == [(200, b"/0"), (200, b"/1"), (200, b"/2")]
    assert [refusal for refusal, _ in answers[3:]] == [status]


def test_empty_lines_keep_no_connection_open(listen: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", listen(PlainTextResponse("x"))), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")


def test_a_body_that_arrives_behind_a_finished_request_is_waited_for(
    listen: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "LINGER_SECONDS", 0.1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)

    upload = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n12"
    with socket.create_connection(("127.0.0.1", listen(app)), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + upload)
        connection.recv(65536)
        assert not select.select([connection], [], [], 0.3)[0], "it was closed in mid-upload"
        connection.sendall(b"34")
        assert b"".join(iter(lambda: connection.recv(65536), b"")).endswith(b"1234")


def test_whoever_drips_is_shown_the_door_while_others_are_served(door: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 1.0)
    began = time.monotonic()
    answers: list[bytes] = []
    drip = threading.Thread(target=lambda: answers.append(send(door, HEAD + b"X-A: ", *[b"a"] * 100, pause=0.1)))
    drip.start()
    silent = threading.Thread(target=lambda: answers.append(send(door, b"")))
    silent.start()
    assert httpx.get(f"http://127.0.0.1:{door}/health/live", trust_env=False).status_code == 200
    drip.join()
    silent.join()
    assert time.monotonic() - began < 12
    assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408", b""}


@pytest.mark.slow
def test_a_body_that_drips_is_not_waited_for(services: Services, door: int) -> None:
    began = time.monotonic()
    head = b"POST /token/refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    answer = send(door, head, *[b"a"] * 12, pause=1.0)
    assert answer.startswith(b"HTTP/1.1 408"), answer[:100]
    assert b"application/problem+json" in answer
    assert time.monotonic() - began < 14
