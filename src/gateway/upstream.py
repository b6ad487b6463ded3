"""Calls to the services behind the gateway: built from validated parts, bounded in time, failures in our own words."""

import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
from yarl import URL

from gateway.circuit_breaker import CircuitBreaker
from meteo.errors import NotFound, Unavailable, UpstreamFailed
from meteo.http.problems import PROBLEM_JSON
from meteo.http.requests import JSON
from meteo.runtime import answers, tracing

T = TypeVar("T")
_KEPT_SECONDS = 3.0
"""Idle connections are closed before the services close them (uvicorn: after 5 s), or a request might meet its end."""


@dataclass(frozen=True)
class Answer:
    """What a service answered; header names are looked up in any case."""

    service: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """UpstreamFailed where it is none."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise UpstreamFailed(f"{self.service} answered with no text") from error

    def require(self, *statuses: int) -> None:
        """UpstreamFailed for any other status."""
        if self.status not in statuses:
            raise UpstreamFailed(f"{self.service} answered {self.status}")

    def read(self, expected: type[T], *statuses: int) -> T:
        """The JSON body, of a status of these (200 unless told), as `expected`; UpstreamFailed where it is not that."""
        self.require(*(statuses or (200,)))
        kind = self.headers.get("Content-Type", "no type")
        if not kind.startswith((JSON, PROBLEM_JSON)):
            raise UpstreamFailed(f"{self.service} answered {self.status} with {kind[:64]!a}")
        return answers.parsed(self.service, self.content, expected)


class Upstream:
    """One service behind the gateway; `deadline` bounds a whole call in seconds, dripping answers included, and `most`
    the bytes of an answer that is taken in (ten times as many may pass through). To be used in one event loop."""

    def __init__(self, name: str, address: str, deadline: float, most: int = 20_000_000) -> None:
        self.name = name
        self._address = address.rstrip("/")
        self._deadline = deadline
        self._most = most
        self._breaker = CircuitBreaker()
        self._session: aiohttp.ClientSession | None = None
        self.observe: Callable[[float], object] = lambda _: None
        """Told the seconds of each call."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(self, method: str, *path: str, deadline: float | None = None, **options: Any) -> Answer:
        """The answer to `method` at the path made of these parts, each quoted; Unavailable when none came in time,
        UpstreamFailed when it is too large. No POST is ever sent twice."""
        async with self.asking(method, *path, deadline=deadline, **options) as answer:
            content = b"".join([chunk async for chunk in self.chunks(answer, self._most)])
            return Answer(self.name, answer.status, answer.headers, content)

    @asynccontextmanager
    async def asking(
        self, method: str, *path: str, deadline: float | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The same, with the body still to be read by `chunks`."""
        if not {"", ".", ".."}.isdisjoint(path):
            raise NotFound("no such path")
        url = URL(f"{self._address}/{'/'.join(quote(part, safe='') for part in path)}", encoded=True)
        if (wait := self._breaker.retry_after()) is not None:
            raise Unavailable(f"{self.name} has not answered of late", retry_after=math.ceil(wait))
        answered: bool | None = None
        began = time.monotonic()
        try:
            timeout = aiohttp.ClientTimeout(total=deadline or self._deadline)
            options["headers"] = {**options.get("headers", {}), **tracing.headers()}
            async with self._client().request(method, url, timeout=timeout, allow_redirects=False, **options) as answer:
                yield answer
                answered = True
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answered = False
            raise Unavailable(f"{self.name} does not answer", retry_after=10) from error
        except UpstreamFailed:
            answered = True
            raise
        finally:
            self._breaker.record(answered)
            self.observe(time.monotonic() - began)

    def record_success(self) -> None:
        """Tell the breaker at the head of an answer that is passed on: how fast its body goes is the client's matter,
        who may neither open the breaker for all nor keep all waiting for a probe."""
        self._breaker.record(True)

    async def chunks(self, answer: aiohttp.ClientResponse, most: int | None = None) -> AsyncIterator[bytes]:
        """The body as it arrives; UpstreamFailed as soon as it is larger than it may be, or compressed, unasked."""
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise UpstreamFailed(f"{self.name} answered in a compressed form that was not asked for")
        taken, most = 0, most or 10 * self._most
        async for chunk in answer.content.iter_any():
            taken += len(chunk)
            if taken > most:
                raise UpstreamFailed(f"{self.name} answered more than {most:,} bytes")
            yield chunk

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=_KEPT_SECONDS),
                headers={"Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session
