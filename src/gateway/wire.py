"""How bytes may arrive at the door: a request's head within seconds, of a bounded size, for exactly one host."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 8.0
MOST_HEAD_BYTES = 32_768
LINGER_SECONDS = 1.0
"""How long the rest of a body may take, and is thrown away, whose request was answered before it had come."""


class Wire(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for a head for ever and takes in any number of headers."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._refused = False
        self._lingering: asyncio.TimerHandle | None = None
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(431, f"the head of a request is at most {MOST_HEAD_BYTES:,} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:  # the next request on a connection that was kept
            self._begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._timer.cancel()
        if sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES:
            self._refuse(431, f"the head of a request is at most {MOST_HEAD_BYTES:,} bytes")
            raise ValueError("head too large")
        if sum(name == b"host" for name, _ in self.headers) != 1:
            raise ValueError("one Host is needed")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            self._lingering = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no valid HTTP request")

    def _begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        self._timer = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        if self._head_bytes:
            self._refuse(408, "the head of the request did not arrive in time")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer and close; once."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        phrase = HTTPStatus(status).phrase
        body = json.dumps({"type": "about:blank", "title": phrase, "status": status, "detail": detail})
        self.transport.write(
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
            f"connection: close\r\n\r\n{body}".encode("ascii")
        )
        self.transport.close()
