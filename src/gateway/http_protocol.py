"""How bytes may arrive at the door: a request's head within seconds, of a bounded size, for exactly one host."""

import asyncio
import json
import re
from http import HTTPStatus
from ipaddress import AddressValueError, IPv6Address
from typing import Any, NoReturn

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 8.0
MOST_HEAD_BYTES = 32_768
MOST_HEADERS = 100
LINGER_SECONDS = 1.0
"""How long what a client still sends is thrown away after its answer, which a connection closed at once might lose."""

_SINGLE = frozenset((b"authorization", b"content-length", b"content-type", b"host", b"transfer-encoding"))
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{1,5})?)?")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)


class StrictHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for a head for ever, takes in any number of headers and trailers, asks
    for no Host, and lets a request that is none overtake the answer of the one before it.

    A message is parsed in two states: in its head, which lasts from the end of the message before; and after it, in
    body, chunk sizes and trailers.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._refusal: bytes | None = None
        self._in_head = True
        self._overhead = 0  # bytes since the last head or piece of a body: of a head, of chunk sizes, of trailers
        self._linger: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._timer, self._linger):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._overhead += len(data)
        super().data_received(data)
        if self._overhead > MOST_HEAD_BYTES:
            self._refuse(431, f"head and trailers of a request are at most {MOST_HEAD_BYTES:,} bytes")
        elif self._in_head and self._overhead and self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._overhead += 1  # at least one byte of its head is there, maybe from the same packet as the message before

    def on_headers_complete(self) -> None:
        self._check_head()
        self._in_head, self._overhead = False, 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().on_headers_complete()
        self.headers = []  # trailers go here, which nobody reads

    def on_body(self, body: bytes) -> None:
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._overhead = True, 0
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        if last and self._refusal is not None:
            self._hang_up()
        elif last and self.cycle.more_body:
            self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no valid HTTP request")

    def _check_head(self) -> None:
        """Refuse a head that is too large, or that could mean different things to a proxy and to us."""
        if len(self.headers) > MOST_HEADERS:
            self._reject(431, f"a request has at most {MOST_HEADERS} headers")
        size = len(self.url)
        single: dict[bytes, bytes] = {}
        for name, value in self.headers:
            size += len(name) + len(value)
            if name in _SINGLE:
                if name in single:
                    self._reject(400, f"{name.decode('ascii')} may be given once")
                single[name] = value
        if size > MOST_HEAD_BYTES:
            self._reject(431, f"the head of a request is at most {MOST_HEAD_BYTES:,} bytes")
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            self._reject(400, "the version of HTTP is 1.1")
        if self.parser.should_upgrade():  # the parser would take the body for the other protocol
            self._reject(400, "no other protocol is spoken here")
        if single.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._reject(400, "the only Transfer-Encoding taken is chunked")
        host = single.get(b"host", b"")
        if not _is_host(host):
            self._reject(400, "a request names one Host, as host or host:port")
        if not self.url.startswith(b"/"):
            absolute = _ABSOLUTE.fullmatch(self.url)
            if absolute is None or absolute[1].lower() != host.lower():
                self._reject(400, "the target of a request is a path, or an address at its Host")
            self.url = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
        if b"#" in self.url:
            self._reject(400, "the target of a request has no fragment")

    def _reject(self, status: int, detail: str) -> NoReturn:
        """Refuse from within the parser, which then stops."""
        self._refuse(status, detail)
        raise ValueError(detail)

    def _too_slow(self) -> None:
        if self.flow.read_paused:  # it is we who do not read, until the next answer
            return
        if self._overhead:
            self._refuse(408, "the head of the request did not arrive in time")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str) -> None:
        """Read no more; answer and close when the requests before this one have had their answers."""
        if self._refusal is not None or self.transport.is_closing():
            return
        phrase = HTTPStatus(status).phrase
        body = json.dumps({"type": "about:blank", "title": phrase, "status": status, "detail": detail})
        self._refusal = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\ncontent-length: {len(body)}\r\n"
            f"connection: close\r\n\r\n{body}"
        ).encode("ascii")
        if not self._must_wait():
            self._hang_up()

    def _must_wait(self) -> bool:
        """Whether an answer is to be waited for. A request that turned out bad after its head is taken back."""
        if self._in_head:
            return self.cycle is not None and not self.cycle.response_complete
        if self.cycle.response_started:
            self._refusal = b""  # it is being answered, or was
            return not self.cycle.response_complete
        self.cycle.disconnected = True
        self.cycle.waiting_for_100_continue = False
        self.cycle.message_event.set()
        if self.pipeline:
            self.pipeline.popleft()
            return True
        return False

    def _hang_up(self) -> None:
        self.flow.resume_reading()
        self.transport.write(self._refusal or b"")
        self.transport.write_eof()
        self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)


def _is_host(value: bytes) -> bool:
    """Whether it is host[:port] as of RFC 9110, 7.2; of the names that RFC 3986 would allow, those in use."""
    match = _HOST.fullmatch(value)
    if match is None or int(match[2] or 0) > 65_535:
        return False
    try:
        return match[1] is None or bool(IPv6Address(match[1].decode("ascii")))
    except AddressValueError:
        return False
