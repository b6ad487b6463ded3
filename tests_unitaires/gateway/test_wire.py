"""Malformed, endless and dripping requests, as raw bytes to the gateway's real server."""

import select
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from gateway import wire
from gateway.services import Services

Send = Callable[..., bytes]


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
    ],
    ids=["two lengths", "length and chunks", "two hosts", "no host", "folded", "bare LF", "spaced name", "garbage",
         "bad chunk"],
)  # fmt: skip
def test_what_is_no_http_gets_one_400_and_the_door_closes(door: int, request_bytes: bytes) -> None:
    answer = send(door, request_bytes, most=5)
    assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("header", [b"X-Long: " + b"a" * 100_000, b"\r\n".join(b"X-%d: y" % n for n in range(9000))])
def test_a_head_without_measure_is_refused(door: int, header: bytes) -> None:
    assert send(door, HEAD + header + b"\r\n\r\n", most=5).startswith(b"HTTP/1.1 431")
    assert send(door, HEAD + header, most=5).startswith(b"HTTP/1.1 431")


def test_whoever_drips_is_shown_the_door_while_others_are_served(door: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 1.0)
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


def test_a_body_that_drips_is_not_waited_for(services: Services, door: int) -> None:
    began = time.monotonic()
    head = b"POST /token/refresh HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    answer = send(door, head, *[b"a"] * 12, pause=1.0)
    assert answer.startswith(b"HTTP/1.1 408"), answer[:100]
    assert b"application/problem+json" in answer
    assert time.monotonic() - began < 14
