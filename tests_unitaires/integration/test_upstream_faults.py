"""What stands behind the gateway misbehaves, as a real server of raw bytes; and the model API is killed."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.circuit_breaker import CircuitBreaker
from meteo.forecasts.tables import PREDICTIONS
from meteo.runtime.database import connect

PREDICTION = {"station": "Sydney", "date": "2020-02-10", "observation": {"humidity_3pm": 80}}
DEADLINE_SECONDS = 10
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Behaviour = Callable[[socket.socket], None]


class Misbehaving:
    """Accepts connections, reads a request, and then does what `behave` says."""

    def __init__(self, port: int) -> None:
        self.requests: list[bytes] = []
        self.behave: Behaviour = close
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    received = connection.recv(65536)
                    if not received:
                        return
                    request += received
                self.requests.append(request)
                self.behave(connection)
            except OSError:
                return  # the gateway has hung up, as it should


def close(_: socket.socket) -> None:
    """Hang up without an answer."""


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def drip_head(connection: socket.socket) -> None:
    for byte in JSON * 10:
        connection.sendall(bytes([byte]))
        time.sleep(0.3)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(JSON + b"Content-Length: 1000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b" ")
        time.sleep(0.3)


def flood(connection: socket.socket) -> None:
    connection.sendall(JSON + b"Content-Length: 300000000\r\n\r\n")
    for _ in range(300):
        connection.sendall(b"[" * 1_000_000)


def says(text: bytes) -> Behaviour:
    def answer(connection: socket.socket) -> None:
        connection.sendall(text)

    answer.__name__ = ascii(text[:40])
    return answer


@pytest.fixture(scope="module")
def lone(open_house: Callable[..., Any]) -> Any:
    """A gateway with nothing behind it."""
    return open_house("gateway")


@pytest.fixture
def ann(lone: Any) -> Iterator[httpx.Client]:
    with lone.client("ann") as client:
        yield client


@pytest.fixture
def behind(lone: Any, ann: httpx.Client) -> Iterator[Misbehaving]:
    server = Misbehaving(lone.ports["api_model"])
    yield server
    seen = len(server.requests)
    server.behave = says(JSON + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    try:
        assert ann.get("/model").status_code == 502, "no model's card"
        assert len(server.requests) == seen + 1, "one fault does not open the breaker"
    finally:
        server.close()


@pytest.mark.parametrize(
    ("behave", "codes"),
    [
        (close, {503}), (reset, {503}), (hang, {503}), (drip_head, {503}), (drip_body, {503}), (flood, {502}),
        (says(b"\x00\xff garbage \r\n\r\n"), {503}),
        (says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<h1>"), {502}),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), {502}),
        (says(JSON + b"Content-Length: 50\r\n\r\n{}"), {503}),
        (says(JSON + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}"), {503}),
        (says(JSON + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n"), {503}),
        (says(JSON + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"), {502}),
        (says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"), {502}),
        (says(b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"), {502}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_no_fault_behind_becomes_an_answer(
    lone: Any, ann: httpx.Client, behind: Misbehaving, behave: Behaviour, codes: set[int]
) -> None:
    behind.behave = behave
    before = lone.memory_mb("gateway")
    began = time.monotonic()
    answer = ann.post("/predict", json=PREDICTION)
    assert answer.status_code in codes, answer.text
    assert time.monotonic() - began < DEADLINE_SECONDS + 2
    assert answer.headers["content-type"] == "application/problem+json"
    assert "127.0.0.1" not in answer.text
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) >= 1
    assert len(behind.requests) == 1, "a POST is never sent twice"
    assert lone.memory_mb("gateway") - before < 60
    assert ann.get("/me").status_code == 200


def test_a_batch_that_breaks_off_is_not_taken_for_whole(ann: httpx.Client, behind: Misbehaving) -> None:
    behind.behave = says(JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[1,2,\r\n")
    with pytest.raises(httpx.RemoteProtocolError):
        ann.post("/predict/batch", json=[PREDICTION])
    behind.behave = says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<h1>")
    assert ann.post("/predict/batch", json=[PREDICTION]).status_code == 502
    assert len(behind.requests) == 2


def test_a_service_that_is_down_is_asked_no_more_until_a_probe_succeeds(lone: Any, ann: httpx.Client) -> None:
    server = Misbehaving(lone.ports["api_model"])
    for _ in range(CircuitBreaker.FAILURES):
        assert ann.post("/predict", json=PREDICTION).status_code == 503
    assert len(server.requests) == CircuitBreaker.FAILURES
    began = time.monotonic()
    answers = [ann.post("/predict", json=PREDICTION) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {503}
    assert {int(answer.headers["retry-after"]) <= CircuitBreaker.OPEN_SECONDS for answer in answers} == {True}
    assert time.monotonic() - began < 3
    assert len(server.requests) == CircuitBreaker.FAILURES, "spared while it is down"
    server.behave = says(JSON + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    time.sleep(CircuitBreaker.OPEN_SECONDS)
    assert [ann.post("/predict", json=PREDICTION).status_code for _ in range(5)] == [502] * 5, (
        "an answer, if no forecast"
    )
    assert len(server.requests) == CircuitBreaker.FAILURES + 5
    server.close()


def test_what_is_down_is_said_and_the_rest_goes_on(lone: Any) -> None:
    with lone.client() as nobody, lone.client("root") as root:
        status = nobody.get("/status").json()
        assert status["status"] == "degraded"
        assert {part["name"]: part["state"] for part in status["dependencies"]} == dict.fromkeys(
            ("api_model", "airflow", "mlflow"), "down"
        )
        assert "127.0.0.1" not in json.dumps(status)
        answer = root.post("/admin/training", json={})
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert root.get("/admin/users").status_code == 200
        (event, *_) = root.get("/admin/audit?action=start training").json()
        assert event["outcome"] != "success"


def test_every_answered_prediction_is_in_the_log_whenever_the_model_api_is_killed(
    open_house: Callable[..., Any],
) -> None:
    house = open_house()
    answered: list[str] = []
    codes: set[int] = set()
    ended = threading.Event()

    def ask() -> None:
        with house.client("ann") as client:
            while not ended.is_set():
                answer = client.post("/predict", json=PREDICTION)
                codes.add(answer.status_code)
                if answer.status_code == 200:
                    answered.append(answer.json()["prediction_id"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        count = len(answered)
        house.eventually(lambda count=count: len(answered) > count + 50, 30)
        house.stop("api_model", signal.SIGKILL)
        time.sleep(0.3)
        house.start("api_model")
    count = len(answered)
    house.eventually(lambda: len(answered) > count + 20, 30)
    ended.set()
    for thread in threads:
        thread.join()
    assert codes == {200, 503}
    with connect(f"sqlite:///{house.home / 'predictions.db'}").connect() as connection:
        logged = set(connection.scalars(select(PREDICTIONS.c.prediction_id)))
    assert set(answered) <= logged
