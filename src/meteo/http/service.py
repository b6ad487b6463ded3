"""Everything that makes an application one of our services, with its health."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
)
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from meteo.errors import (
    MeteoError,
    Unavailable,
)
from meteo.http.context import RequestContext
from meteo.http.metrics import HttpMetrics, exposition
from meteo.http.problems import on_http_exception, on_invalid, on_meteo_error
from meteo.http.routing import Route


def install_service(
    app: FastAPI,
    registry: CollectorRegistry,
    ready: Callable[[], Awaitable[str | None]],
    body_limit: int = 100_000_000,
    body_seconds: float | None = None,
    patience: Mapping[str, float] | None = None,
) -> None:
    """Give `app` request ids, problem+json errors, `/metrics`, `/health/live` and `/health/ready`.

    `ready` says what is missing, or None; bodies of more than `body_limit` bytes are refused as soon as that is seen,
    and those that take longer than `body_seconds` and a second more for every 50 kB. A request that is not answered
    within DEADLINE_SECONDS, or as many as `patience` has for the longest prefix of its path, is answered 503.
    """
    ProcessCollector(registry=registry)
    app.router.route_class = Route
    app.add_middleware(
        RequestContext,
        metrics=HttpMetrics(registry),
        body_limit=body_limit,
        body_seconds=body_seconds,
        patience={"/metrics": 9.0, **(patience or {})},
    )
    app.add_exception_handler(MeteoError, on_meteo_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(ValidationError, on_invalid)

    @app.get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready", include_in_schema=False)
    async def readiness() -> dict[str, str]:
        if missing := await ready():
            raise Unavailable(missing)
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(exposition(registry), media_type=CONTENT_TYPE_LATEST)
