"""Calls to the services behind the gateway: built from validated parts, bounded in time, failures in our own words."""

import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from yarl import URL

from gateway.users import User
from meteo import tracing, web
from meteo.auth import Caller, ServiceTokens
from meteo.errors import NotFound, Unavailable, UpstreamFailed

_PASSED_ON = ("Content-Type", "Retry-After")
_KEPT_SECONDS = 3.0
"""Idle connections are closed before the services close them (uvicorn: after 5 s), or a request might meet its end."""


class Breaker:
    """Stops asking a service that has failed FAILURES times in a row, for OPEN_SECONDS; then one request is let through
    and its outcome decides for all."""

    FAILURES = 5
    OPEN_SECONDS = 5.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._closed_from = 0.0
        self._probing = False

    def wait(self) -> float | None:
        """None when a request may be made (its outcome must be told), else how many seconds to wait."""
        if self._failures < self.FAILURES:
            return None
        left = self._closed_from - self._clock()
        if left > 0 or self._probing:
            return max(left, 1.0)
        self._probing = True
        return None

    def tell(self, succeeded: bool | None) -> None:
        """What became of a request; None for one that was given up by who asked."""
        self._probing = False
        if succeeded is None:
            return
        self._failures = 0 if succeeded else self._failures + 1
        if self._failures >= self.FAILURES:
            self._closed_from = self._clock() + self.OPEN_SECONDS


@dataclass(frozen=True)
class Answer:
    """What a service answered; header names are looked up in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.content)


class Upstream:
    """One service behind the gateway; `deadline` bounds a whole call in seconds, dripping answers included, and `most`
    the bytes of an answer that is taken in (ten times as many may pass through). To be used in one event loop."""

    def __init__(self, name: str, address: str, deadline: float, most: int = 20_000_000) -> None:
        self.name = name
        self._address = address.rstrip("/")
        self._deadline = deadline
        self._most = most
        self._breaker = Breaker()
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
            return Answer(answer.status, answer.headers, content)

    @asynccontextmanager
    async def asking(
        self, method: str, *path: str, deadline: float | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The same, with the body still to be read by `chunks`."""
        if not {"", ".", ".."}.isdisjoint(path):
            raise NotFound("no such path")
        url = URL(f"{self._address}/{'/'.join(quote(part, safe='') for part in path)}", encoded=True)
        if (wait := self._breaker.wait()) is not None:
            raise Unavailable(f"{self.name} has not answered of late", retry_after=math.ceil(wait))
        answered: bool | None = None
        began = time.monotonic()
        try:
            timeout = aiohttp.ClientTimeout(total=deadline or self._deadline)
            options["headers"] = {**options.get("headers", {}), **tracing.headers()}
            async with self._client().request(
                method, url, timeout=timeout, allow_redirects=False, **options
            ) as answer:  # fmt: skip
                yield answer
                answered = True
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answered = False
            raise Unavailable(f"{self.name} does not answer", retry_after=10) from error
        except UpstreamFailed:
            answered = True
            raise
        finally:
            self._breaker.tell(answered)
            self.observe(time.monotonic() - began)

    def answers(self) -> None:
        """Tell the breaker at the head of an answer that is passed on: how fast its body goes is the client's matter,
        who may neither open the breaker for all nor keep all waiting for a probe."""
        self._breaker.tell(True)

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
                headers={"Accept-Encoding": "identity"}, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False,
            )  # fmt: skip
        return self._session


class Through(Response):
    """An answer that passes on in pieces, as they arrive; what fails before the first is answered as an error, after
    it the connection is cut, so that nobody takes a part for the whole."""

    def __init__(
        self, upstream: Upstream, asking: AbstractAsyncContextManager[aiohttp.ClientResponse],
        headers_of: Callable[[int, Mapping[str, str]], dict[str, str]],
    ) -> None:  # fmt: skip
        super().__init__()
        self._upstream = upstream
        self._asking = asking
        self._headers_of = headers_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._asking as answer:
            found = self._headers_of(answer.status, answer.headers)
            del self.headers["content-length"]
            self.headers.update(found)
            self._upstream.answers()
            await send({"type": "http.response.start", "status": answer.status, "headers": self.raw_headers})
            try:
                async for chunk in self._upstream.chunks(answer):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except (aiohttp.ClientError, TimeoutError, OSError) as error:  # perhaps for a client that reads slowly
                raise UpstreamFailed(f"the answer of {self._upstream.name} broke off") from error
        await send({"type": "http.response.body", "body": b""})


class ModelApi:
    """The model API, asked on behalf of a user."""

    def __init__(self, upstream: Upstream, tokens: ServiceTokens) -> None:
        self._upstream = upstream
        self._tokens = tokens

    async def ask(
        self, request: Request, user: User, method: str, *path: str,
        content: bytes | None = None, params: Mapping[str, Any] | None = None, deadline: float | None = None,
        kind: str = web.JSON,
    ) -> Response:  # fmt: skip
        """Its answer as it is, unparsed; errors are problem+json already, and become those of the path asked here.
        `content` is of media type `kind`."""
        headers = self._headers(request, user) | ({} if content is None else {"Content-Type": kind})
        began = time.perf_counter()
        answer = await self._upstream.call(
            method, *path, data=content, params=params, deadline=deadline, headers=headers
        )
        passed = self._passed(request, began, answer.status, answer.headers)
        if passed["Content-Type"].startswith(web.PROBLEM_JSON):
            problem = answer.json() | {"instance": request.url.path}
            return JSONResponse(problem, answer.status, passed)
        return Response(answer.content, answer.status, passed)

    def through(
        self, request: Request, user: User, method: str, *path: str, content: bytes, passed: Sequence[str],
        deadline: float,
    ) -> Response:  # fmt: skip
        """Its answer in pieces, as they arrive; the request's headers named in `passed` go with the body."""
        given = {name: request.headers[name] for name in passed if name in request.headers}
        headers = given | self._headers(request, user)
        began = time.perf_counter()
        asking = self._upstream.asking(method, *path, data=content, headers=headers, deadline=deadline)
        return Through(self._upstream, asking, lambda status, answered: self._passed(request, began, status, answered))

    def _headers(self, request: Request, user: User) -> dict[str, str]:
        token = self._tokens.issue(Caller(user.username, user.role, "gateway"))
        return {"Authorization": f"Bearer {token}", "X-Request-ID": web.request_id(request)}

    def _passed(self, request: Request, began: float, status: int, answered: Mapping[str, str]) -> dict[str, str]:
        """The headers of an answer of ours; UpstreamFailed where it is none that the model API would give."""
        web.say(request, upstream_ms=round((time.perf_counter() - began) * 1000, 2))
        kind = answered.get("Content-Type", "")
        if not kind.startswith(("application/json", "text/csv", web.PROBLEM_JSON)) or status == 401:
            raise UpstreamFailed(f"{self._upstream.name} answered {status} with {kind or 'no type'}")
        return {name: answered[name] for name in _PASSED_ON if name in answered}

    async def state(self) -> dict[str, Any]:
        """Which version serves and whether the data are simulated."""
        token = self._tokens.issue(Caller("gateway", "admin", "gateway"))
        answer = await self._upstream.call("GET", "state", headers={"Authorization": f"Bearer {token}"})
        if answer.status != 200:
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status}")
        state: dict[str, Any] = answer.json()
        return state
