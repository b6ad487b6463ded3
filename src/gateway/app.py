"""The gateway: the only door from outside."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Histogram

from gateway.dependencies import Services
from gateway.endpoints import accounts, data, docs, drift, forecasts, models, pipelines, sessions, status
from gateway.openapi import describe
from gateway.upstream import Upstream
from meteo.http.context import DEADLINE_SECONDS
from meteo.http.service import install_service
from meteo.runtime.threads import Threads

BODY_SECONDS = 8.0
THREADS = 8
PATIENCE = {
    "/predict/batch": forecasts.BATCH_SECONDS + 5, "/admin/": models.PROMOTION_SECONDS + 5,
    "/admin/users": DEADLINE_SECONDS, "/admin/audit": DEADLINE_SECONDS,
}  # fmt: skip
"""Seconds for what takes longer than others; what admins ask of the services behind has a deadline at each call."""


def create_app(services: Services, upstreams: Sequence[Upstream], body_limit: int = 10_000_000) -> FastAPI:
    """`upstreams` are closed with the app."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.users.create_tables()
        asyncio.get_running_loop().set_default_executor(Threads(THREADS, "database"))
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked through again and again
        yield
        for upstream in upstreams:
            await upstream.close()
        await services.limiter.close()

    app = FastAPI(
        title="Rain tomorrow in Australia",
        description="Chances of rain, stations and observations; pipelines and models for admins.",
        version=version("rain-tomorrow"),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    collectors = CollectorRegistry()
    seconds = Histogram(
        "upstream_request_duration_seconds",
        "Time that a service behind the gateway took, its body included",
        ["upstream"],
        registry=collectors,
    )
    for upstream in upstreams:
        upstream.observe = seconds.labels(upstream.name.removeprefix("the ")).observe
    install_service(app, collectors, services.missing, body_limit, BODY_SECONDS, PATIENCE)
    app.router.routes.extend(forecasts.direct.routes)
    for part in (sessions, forecasts, pipelines, data, models, drift, accounts, docs, status):
        app.include_router(part.router)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app
