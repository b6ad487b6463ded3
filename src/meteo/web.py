"""What every HTTP service does alike: request ids, problem+json, request metrics, health."""

import asyncio
import os
import re
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meteo import tracing
from meteo.contract import Problem, field_errors
from meteo.errors import (
    InvalidInput,
    MeteoError,
    NotAuthenticated,
    TooLarge,
    TooManyRequests,
    TooSlow,
    Unavailable,
    WrongKind,
)
from meteo.logs import logger, request_line

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
Parsed = TypeVar("Parsed", bound=BaseModel)
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
_LABELS_KNOWN = 500
_TOLD = frozenset((b"x-request-id", b"content-length", b"content-encoding"))
_SLOWEST_BYTES_A_SECOND = 50_000
_CLIENT_LEFT = 499
"""What nginx, too, logs of a request whose sender went away before it was answered."""


class RequestContext:
    """Pure ASGI middleware: gives each request an id, logs and measures it, answers X-Request-ID."""

    def __init__(
        self, app: ASGIApp, metrics: "HttpMetrics", body_limit: int, body_seconds: float | None = None
    ) -> None:
        self.app = app
        self.metrics = metrics
        self._body_limit = body_limit
        self._body_seconds = body_seconds

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
        started, status, begun = time.perf_counter(), 500, False

        async def answer(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                begun = True
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        body = _Body(receive, self._body_limit, self._body_seconds, self._refusal(told))

        async def unless_refused(message: Message) -> None:
            if body.refusal is None or begun:  # what the application makes of a body that was cut off is not sent
                await answer(message)

        try:
            try:
                if body.refusal is None:
                    await self.app(scope, body, unless_refused)
            except ClientDisconnect:  # nobody is there to be answered
                status = _CLIENT_LEFT
            except Exception as error:
                if body.refusal is None or begun:
                    logger().error("defect", exc_info=error)
                    if begun:
                        raise
                    away = isinstance(error, OperationalError | sqlite3.OperationalError)
                    reply = _away if away else _defect
                    await (await reply(Request(scope)))(scope, receive, answer)
            if body.refusal is not None and not begun:
                await (await _on_meteo_error(Request(scope), body.refusal))(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            self.metrics.observe(scope["method"], route, status, seconds)
            tracing.end(began, scope["method"], route, status, request_id)
            if not route.startswith(("/health", "/metrics")):
                request_line(scope["method"], route, status, seconds, request_id, scope["state"].get("said"))

    def _refusal(self, told: Mapping[bytes, bytes]) -> MeteoError | None:
        """Why a request of these headers is refused unread."""
        length = told.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > self._body_limit:
            return TooLarge(f"the body is larger than {self._body_limit:,} bytes")
        if told.get(b"content-encoding", b"identity").lower() != b"identity":
            return WrongKind("bodies are taken as they are, without a Content-Encoding")
        return None


class _Body:
    """A request's body as the application receives it: cut off by `refusal` when it becomes too large or too slow."""

    def __init__(self, receive: Receive, limit: int, seconds: float | None, refusal: MeteoError | None) -> None:
        self.refusal = refusal
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._began = time.perf_counter()
        self._complete = seconds is None
        self._taken = 0

    async def __call__(self) -> Message:
        if self._complete:
            message = await self._receive()
        else:
            allowed = (self._seconds or 0) + self._taken / _SLOWEST_BYTES_A_SECOND
            try:
                async with asyncio.timeout(max(0.0, self._began + allowed - time.perf_counter())):
                    message = await self._receive()
            except TimeoutError:
                self.refusal = TooSlow("the body of the request did not arrive in time")
                raise self.refusal from None
            self._complete = not message.get("more_body", False)
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            self.refusal = TooLarge(f"the body is larger than {self._limit:,} bytes")
            raise self.refusal
        return message


class Lane:
    """Pure ASGI middleware: answers one POST route before the framework does, whose routing, dependencies and response
    model would cost as much again as a prediction. Errors are answered as everywhere."""

    def __init__(self, app: ASGIApp, path: str, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self.app = app
        self.path = path
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["route"] = self
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except MeteoError as error:
            response = await _on_meteo_error(request, error)
        except ValidationError as error:
            response = await _on_invalid(request, error)
        await response(scope, receive, send)


class HttpMetrics:
    """Rate, errors and duration by route."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter("http_requests", "Requests answered", ["method", "route", "status"], registry=registry)
        self._seconds = Histogram(
            "http_request_duration_seconds", "Time to answer", ["method", "route"], registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )  # fmt: skip

        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        found = self._known.get((method, route, status))
        if found is None:
            found = self._requests.labels(method, route, status), self._seconds.labels(method, route)
            if len(self._known) < _LABELS_KNOWN:
                self._known[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)


def say(request: Request, **more: str | float) -> None:
    """Have the log line of this request tell more."""
    request.scope["state"].setdefault("said", {}).update(more)


def request_id(request: Request) -> str:
    """The id of this request, given or made."""
    found: str = request.state.request_id
    return found


async def body(request: Request, *kinds: str) -> bytes:
    """The body, WrongKind if it says to be of another media type than `kinds`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in kinds:
        raise WrongKind(f"the body says to be {kind[:64]!a}; {' or '.join(kinds)} is taken")
    return await request.body()


async def json_body(request: Request, model: type[Parsed]) -> Parsed:
    """The body as `model`, parsed from the bytes so that strictness holds for dates as well; no body is {}."""
    return model.model_validate_json(await body(request, JSON) or b"{}")


def documented_body(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body by `json_body` or passes it on; references are written out."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    for name, part in schema["properties"].items():
        if "$ref" in part:
            schema["properties"][name] = definitions[part["$ref"].rpartition("/")[2]]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def problem(request: Request, status: int, detail: str, title: str = "",
            errors: list[tuple[str, str]] | None = None) -> JSONResponse:  # fmt: skip
    """An RFC 9457 response."""
    body = Problem(
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request_id(request),
        errors=[{"field": field, "message": message} for field, message in errors] if errors else None,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, media_type=PROBLEM_JSON)


def install(
    app: FastAPI, registry: CollectorRegistry, ready: Callable[[], str | None], body_limit: int = 100_000_000,
    body_seconds: float | None = None,
) -> None:  # fmt: skip
    """Give `app` request ids, problem+json errors, `/metrics`, `/health/live` and `/health/ready`.

    `ready` says what is missing, or None; bodies of more than `body_limit` bytes are refused as soon as that is seen,
    and those that take longer than `body_seconds` and a second more for every 50 kB.
    """
    ProcessCollector(registry=registry)
    app.add_middleware(RequestContext, metrics=HttpMetrics(registry), body_limit=body_limit, body_seconds=body_seconds)
    app.add_exception_handler(MeteoError, _on_meteo_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ValidationError, _on_invalid)

    @app.get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready", include_in_schema=False)
    async def readiness() -> dict[str, str]:
        if missing := ready():
            raise Unavailable(missing)
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(exposition(registry), media_type=CONTENT_TYPE_LATEST)


def exposition(registry: CollectorRegistry) -> bytes:
    """The metrics of `registry` as text; where workers share a PROMETHEUS_MULTIPROC_DIR, those of all of them."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        ProcessCollector(registry=registry)  # of the worker that happens to answer
    return generate_latest(registry)


async def _on_meteo_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MeteoError)
    fields = list(error.fields) if isinstance(error, InvalidInput) else None
    response = problem(request, error.status, error.detail, error.title, fields)
    if isinstance(error, Unavailable | TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, TooManyRequests):
        response.headers.update({"RateLimit-Limit": str(error.limit), "RateLimit-Remaining": "0",
                                 "RateLimit-Reset": str(error.retry_after)})  # fmt: skip
    if isinstance(error, NotAuthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem(request, error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # the framework tells of one of the routes that share the path
        response.headers["Allow"] = ", ".join(sorted(_methods(request.app.routes, request.scope)))
    return response


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """The methods that routes take at the path of `scope`."""
    found: set[str] = set()
    for route in routes:
        if included := getattr(route, "original_router", None):
            found |= _methods(included.routes, scope)
        elif route.matches(scope)[0] != Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return found


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    if isinstance(error, ValidationError):
        fields = field_errors(error.errors(include_input=False, include_url=False, include_context=False))
    else:
        fields = [(field.removeprefix("body.").removeprefix("query."), text)
                  for field, text in field_errors(list(error.errors()))]  # fmt: skip
    detail = "; ".join(f"{field}: {message}" for field, message in fields[:5])
    return problem(request, 422, detail, "Invalid input", fields)


async def _away(request: Request) -> Response:
    return await _on_meteo_error(request, Unavailable("the database does not answer", retry_after=10))


async def _defect(request: Request) -> Response:
    return problem(request, 500, "Something went wrong here; search the logs by the request id.")
