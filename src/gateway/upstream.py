"""Calls to the services behind the gateway: built from validated parts, bounded in time, failures in our own words."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import Request
from fastapi.responses import Response

from gateway.users import User
from meteo import web
from meteo.auth import Caller, ServiceTokens
from meteo.errors import NotFound, Unavailable, UpstreamFailed

_PASSED_ON = ("content-type", "retry-after")


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


class Upstream:
    """One service behind the gateway; `deadline` bounds a whole call in seconds, dripping answers included, and `most`
    the bytes of an answer."""

    def __init__(self, name: str, address: str, deadline: float, most: int = 100_000_000) -> None:
        self.name = name
        self._deadline = deadline
        self._most = most
        self._breaker = Breaker()
        self._client = httpx.AsyncClient(
            base_url=address, timeout=deadline, trust_env=False, follow_redirects=False,
            headers={"Accept-Encoding": "identity"}, limits=httpx.Limits(max_connections=100),
        )  # fmt: skip

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, method: str, *path: str, deadline: float | None = None, **options: Any) -> httpx.Response:
        """The answer to `method` at the path made of these parts, each quoted; Unavailable when none came in time,
        UpstreamFailed when it is too large. Nothing is sent twice."""
        seconds = deadline or self._deadline
        if not {"", ".", ".."}.isdisjoint(path):
            raise NotFound("no such path")
        url = "/" + "/".join(quote(part, safe="") for part in path)
        if (wait := self._breaker.wait()) is not None:
            raise Unavailable(f"{self.name} has not answered of late", retry_after=math.ceil(wait))
        answered: bool | None = None
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, url, timeout=seconds, **options) as answer,
            ):
                content = await self._taken(answer)
                answered = True
        except (httpx.HTTPError, TimeoutError) as error:
            answered = False
            raise Unavailable(f"{self.name} does not answer", retry_after=10) from error
        except UpstreamFailed:
            answered = True
            raise
        finally:
            self._breaker.tell(answered)
        headers = [(name, value) for name, value in answer.headers.items() if name != "content-encoding"]
        return httpx.Response(answer.status_code, headers=headers, content=content, request=answer.request)

    async def _taken(self, answer: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in answer.aiter_bytes():
            content += chunk
            if len(content) > self._most:
                raise UpstreamFailed(f"{self.name} answered more than {self._most:,} bytes")
        return bytes(content)


class ModelApi:
    """The model API, asked on behalf of a user."""

    def __init__(self, upstream: Upstream, tokens: ServiceTokens) -> None:
        self._upstream = upstream
        self._tokens = tokens

    async def ask(
        self, request: Request, user: User, method: str, *path: str,
        content: bytes | None = None, params: Mapping[str, Any] | None = None, passed: Sequence[str] = (),
        deadline: float | None = None,
    ) -> Response:  # fmt: skip
        """Its answer as it is: bodies and the headers named in `passed` go through unparsed, errors are problem+json
        already."""
        token = self._tokens.issue(Caller(user.username, user.role, "gateway"))
        began = time.perf_counter()
        answer = await self._upstream.call(
            method, *path, content=content, params=params, deadline=deadline,
            headers={name: request.headers[name] for name in passed if name in request.headers}
            | {"Authorization": f"Bearer {token}", "X-Request-ID": web.request_id(request)},
        )  # fmt: skip
        web.say(request, upstream_ms=round((time.perf_counter() - began) * 1000, 2))
        kind = answer.headers.get("content-type", "")
        if not kind.startswith(("application/json", "text/csv", web.PROBLEM_JSON)) or answer.status_code == 401:
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status_code} with {kind or 'no type'}")
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        return Response(answer.content, answer.status_code, headers)

    async def state(self) -> dict[str, Any]:
        """Which version serves and whether the data are simulated."""
        token = self._tokens.issue(Caller("gateway", "admin", "gateway"))
        answer = await self._upstream.call("GET", "state", headers={"Authorization": f"Bearer {token}"})
        if answer.status_code != 200:
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status_code}")
        state: dict[str, Any] = answer.json()
        return state
