"""Calls to the services behind the gateway: built from validated parts, bounded in time, failures in our own words."""

import asyncio
from collections.abc import Mapping, Sequence
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


class Upstream:
    """One service behind the gateway; `deadline` bounds a whole call in seconds, dripping answers included."""

    def __init__(self, name: str, address: str, deadline: float) -> None:
        self.name = name
        self._deadline = deadline
        self._client = httpx.AsyncClient(base_url=address, timeout=deadline, trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, method: str, *path: str, deadline: float | None = None, **options: Any) -> httpx.Response:
        """The answer to `method` at the path made of these parts, each quoted; Unavailable when none came in time."""
        seconds = deadline or self._deadline
        if not {"", ".", ".."}.isdisjoint(path):
            raise NotFound("no such path")
        url = "/" + "/".join(quote(part, safe="") for part in path)
        try:
            async with asyncio.timeout(seconds):
                return await self._client.request(method, url, timeout=seconds, **options)
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(f"{self.name} does not answer", retry_after=10) from error


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
        answer = await self._upstream.call(
            method, *path, content=content, params=params, deadline=deadline,
            headers={name: request.headers[name] for name in passed if name in request.headers}
            | {"Authorization": f"Bearer {token}", "X-Request-ID": web.request_id(request)},
        )  # fmt: skip
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
