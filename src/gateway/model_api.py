"""The model API behind the gateway: its answers are checked, or passed on in pieces."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import ConfigDict
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from gateway.upstream import Upstream
from gateway.users import User
from meteo.errors import UpstreamFailed
from meteo.http.problems import PROBLEM_JSON
from meteo.http.requests import JSON, add_log_fields, request_id
from meteo.runtime.answers import Needed
from meteo.runtime.service_tokens import Caller, ServiceTokens

_PASSED_ON = ("Content-Type", "Retry-After")


class StreamedAnswer(Response):
    """An answer that passes on in pieces, as they arrive; what fails before the first is answered as an error, after
    it the connection is cut, so that nobody takes a part for the whole."""

    def __init__(
        self,
        upstream: Upstream,
        asking: AbstractAsyncContextManager[aiohttp.ClientResponse],
        headers_of: Callable[[int, Mapping[str, str]], Awaitable[dict[str, str]]],
    ) -> None:
        super().__init__()
        self._upstream = upstream
        self._asking = asking
        self._headers_of = headers_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passing, leaving = asyncio.ensure_future(self._pass(send)), asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not passing.done():
                await leaving
                raise ClientDisconnect
            await passing
        finally:
            passing.cancel()
            leaving.cancel()
            await asyncio.wait((passing, leaving))

    async def _pass(self, send: Send) -> None:
        async with self._asking as answer:
            self._upstream.record_success()
            headers = await self._headers_of(answer.status, answer.headers)
            del self.headers["content-length"]
            self.headers.update(headers)
            await send({"type": "http.response.start", "status": answer.status, "headers": self.raw_headers})
            try:
                async for chunk in self._upstream.chunks(answer):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except (aiohttp.ClientError, TimeoutError, OSError) as error:  # perhaps for a client that reads slowly
                raise UpstreamFailed(f"the answer of {self._upstream.name} broke off") from error
        await send({"type": "http.response.body", "body": b""})


class State(Needed):
    """Which version serves, what is wrong with the model, and whether the data are simulated."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str | None
    model_problem: str | None
    simulated: bool | None


class _Refusal(Needed):
    """A problem of the model API, without the path, which is not the one that was asked here."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str = ""
    errors: list[dict[str, str]] | None = None


async def _left(receive: Receive) -> None:
    """Return when who asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class ModelApi:
    """The model API, asked on behalf of a user."""

    def __init__(self, upstream: Upstream, tokens: ServiceTokens) -> None:
        self._upstream = upstream
        self._tokens = tokens

    async def ask(
        self,
        request: Request,
        user: User,
        expected: type[object],
        method: str,
        *path: str,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        kind: str = JSON,
    ) -> Response:
        """Its answer as it is, once it was seen to be `expected`; errors are problem+json already, and become those of
        the path asked here. `content` is of media type `kind`."""
        headers = self._headers(request, user) | ({} if content is None else {"Content-Type": kind})
        began = time.perf_counter()
        answer = await self._upstream.call(
            method, *path, data=content, params=params, deadline=deadline, headers=headers
        )
        passed = self._passed(request, began, answer.status, answer.headers)
        if passed["Content-Type"].startswith(PROBLEM_JSON):
            refusal = answer.read(_Refusal, answer.status).model_dump(exclude_unset=True)
            return JSONResponse({**refusal, "instance": request.url.path}, answer.status, passed)
        answer.read(expected, 200, 201)
        return Response(answer.content, answer.status, passed)

    def stream(
        self,
        request: Request,
        user: User,
        method: str,
        *path: str,
        content: bytes,
        headers: Mapping[str, str],
        deadline: float,
        charge: Callable[[int, Mapping[str, str]], Awaitable[dict[str, str]]],
    ) -> Response:
        """Its answer in pieces, as they arrive. `charge` is told status and headers of the answer, to which it may add,
        and may refuse to have it worked out."""
        began = time.perf_counter()
        asking = self._upstream.asking(
            method, *path, data=content, deadline=deadline, headers={**headers, **self._headers(request, user)}
        )

        async def head(status: int, answered: Mapping[str, str]) -> dict[str, str]:
            return self._passed(request, began, status, answered) | await charge(status, answered)

        return StreamedAnswer(self._upstream, asking, head)

    def _headers(self, request: Request, user: User) -> dict[str, str]:
        token = self._tokens.issue(Caller(user.username, user.role, "gateway"))
        return {"Authorization": f"Bearer {token}", "X-Request-ID": request_id(request)}

    def _passed(self, request: Request, began: float, status: int, answered: Mapping[str, str]) -> dict[str, str]:
        """The headers of an answer of ours; UpstreamFailed where it is none that the model API would give."""
        add_log_fields(request, upstream_ms=round((time.perf_counter() - began) * 1000, 2))
        kind = answered.get("Content-Type", "")
        right = (PROBLEM_JSON,) if status >= 400 else (JSON, "text/csv")
        if status not in (200, 201, *range(400, 600)) or status == 401 or not kind.startswith(right):
            raise UpstreamFailed(f"{self._upstream.name} answered {status} with {kind[:64]!a}")
        return {name: answered[name] for name in _PASSED_ON if name in answered}

    async def state(self) -> State:
        """How it is."""
        token = self._tokens.issue(Caller("gateway", "admin", "gateway"))
        answer = await self._upstream.call("GET", "state", headers={"Authorization": f"Bearer {token}"})
        return answer.read(State)
