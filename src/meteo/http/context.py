"""What surrounds every request: an id, a deadline, a log line, a measurement."""

import asyncio
import re
import time
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qsl

import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meteo.errors import (
    InvalidInput,
    MeteoError,
    NotFound,
    TooLarge,
    Unavailable,
    WrongKind,
)
from meteo.http.body_limit import LimitedBody
from meteo.http.metrics import HttpMetrics
from meteo.http.problems import on_failure, on_meteo_error
from meteo.runtime import tracing
from meteo.runtime.logs import logger, request_line
from meteo.schemas.base import without_controls

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_TOLD = frozenset((b"x-request-id", b"content-length", b"content-encoding"))
DEADLINE_SECONDS = 5.0
_CLIENT_LEFT = 499
"""What nginx, too, logs of a request whose sender went away before it was answered."""


class RequestContext:
    """Pure ASGI middleware: gives each request an id, logs and measures it, answers X-Request-ID."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: "HttpMetrics",
        body_limit: int,
        body_seconds: float | None = None,
        patience: Mapping[str, float] | None = None,
    ) -> None:
        self.app = app
        self.metrics = metrics
        self._body_limit = body_limit
        self._body_seconds = body_seconds
        self._patience = sorted((patience or {}).items(), key=lambda entry: -len(entry[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        told = {name: value for name, value in scope["headers"] if name in _TOLD}
        given = told.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = tracing.begin(scope)
        started, status, begun, ended = time.perf_counter(), 500, False, False

        async def answer(message: Message) -> None:
            nonlocal status, begun, ended
            if message["type"] == "http.response.start":
                begun = True
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            else:
                ended = not message.get("more_body", False)
            await send(message)

        patience = self._seconds(scope["path"])
        deadline = asyncio.timeout(patience)
        body = LimitedBody(receive, self._body_limit, self._body_seconds, self._refusal(scope, told), deadline)

        async def unless_refused(message: Message) -> None:
            if body.refusal is None or begun:  # what the application makes of a body that was cut off is not sent
                if not deadline.expired():
                    deadline.reschedule(None)  # how fast the answer is taken is the client's matter
                await answer(message)

        try:
            try:
                if body.refusal is None:
                    async with deadline:
                        await self.app(scope, body, unless_refused)
                    if begun and not ended:  # an answer in pieces, given up
                        status = _CLIENT_LEFT
            except ClientDisconnect:  # nobody is there to be answered
                status = _CLIENT_LEFT
            except Exception as error:
                if body.refusal is None or begun:
                    if begun:
                        logger().error("defect", exc_info=error)
                        raise
                    late = Unavailable(f"there was no answer within {patience:g} s; try again in a moment")
                    reply = await on_failure(Request(scope), late if deadline.expired() else error)
                    await reply(scope, receive, answer)
            if body.refusal is not None and not begun:
                await (await on_meteo_error(Request(scope), body.refusal))(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.observe(scope["method"], route, status, seconds)
            tracing.end(began, scope["method"], route, status, request_id)
            if not route.startswith(("/health", "/metrics")):
                request_line(scope["method"], route, status, seconds, request_id, scope["state"].get("said"))

    def _seconds(self, path: str) -> float:
        """How long a request to `path` may take: by the longest prefix of it that has a time of its own."""
        return next((seconds for prefix, seconds in self._patience if path.startswith(prefix)), DEADLINE_SECONDS)

    def _refusal(self, scope: Scope, told: Mapping[bytes, bytes]) -> MeteoError | None:
        """Why a request of this address and these headers is refused unread."""
        try:
            without_controls(scope["path"])
        except ValueError as error:
            if "\0" in scope["path"]:
                return NotFound("no address holds a NUL")
            return InvalidInput(f"path: {error}", [("path", str(error))])
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
            try:
                without_controls([name, value])
            except ValueError as error:
                return InvalidInput(f"{name}: {error}", [(name, str(error))])
        length = told.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._body_limit:
            return TooLarge(f"the body is larger than {self._body_limit:,} bytes")
        if told.get(b"content-encoding", b"identity").lower() != b"identity":
            return WrongKind("bodies are taken as they are, without a Content-Encoding")
        return None
