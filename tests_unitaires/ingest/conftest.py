"""A BOM that misbehaves on request, over real sockets."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

Answer = bytes | Callable[[socket.socket], None]


@dataclass
class Bom:
    """Gives its answers in turn, the last one for ever; `asked` holds the requests as they came."""

    address: str
    answers: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    connections: int = 0

    def paths(self) -> list[str]:
        return [request.split(" ")[1] for request in self.asked]


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP/1.1 answer."""
    given = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


@pytest.fixture
def reply() -> Callable[..., bytes]:
    return answer


@pytest.fixture
def bom() -> Iterator[Bom]:
    listener = socket.create_server(("127.0.0.1", 0))
    served = Bom(f"http://127.0.0.1:{listener.getsockname()[1]}")
    stopped = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            while not stopped.is_set():
                request = b""
                while b"\r\n\r\n" not in request:
                    try:
                        piece = connection.recv(65536)
                    except OSError:
                        return
                    if not piece:
                        return
                    request += piece
                served.asked.append(request.decode())
                given = served.answers.pop(0) if len(served.answers) > 1 else served.answers[0]
                try:
                    if isinstance(given, bytes):
                        connection.sendall(given)
                        continue
                    given(connection)
                except OSError:  # the client has left, as it should
                    return
                return

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            served.connections += 1
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield served
    stopped.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=10)
