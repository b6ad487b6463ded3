"""The gateway: the only door from outside."""

import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Histogram

from gateway.document import describe
from gateway.endpoints import accounts, admin, drift, session, status, weather
from gateway.services import Services
from gateway.upstream import Upstream
from meteo import web

BODY_SECONDS = 8.0


def create_app(services: Services, upstreams: Sequence[Upstream], body_limit: int = 10_000_000) -> FastAPI:
    """`upstreams` are closed with the app."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.users.create_tables()
        gc.collect()
        gc.freeze()  # what lives as long as the process need not be looked through again and again
        yield
        for upstream in upstreams:
            await upstream.close()

    app = FastAPI(
        title="Rain tomorrow in Australia",
        description="Chances of rain, stations and observations; pipelines and models for admins.",
        version=version("rain-tomorrow"),
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.services = services
    app.add_middleware(web.Lane, path="/predict", answer=weather.predict_at_once)
    collectors = CollectorRegistry()
    seconds = Histogram("upstream_request_duration_seconds", "Time that a service behind the gateway took, its body "
                        "included", ["upstream"], registry=collectors)  # fmt: skip
    for upstream in upstreams:
        upstream.observe = seconds.labels(upstream.name.removeprefix("the ")).observe
    web.install(app, collectors, lambda: None, body_limit, BODY_SECONDS)
    for part in (session, weather, admin, drift, accounts, status):
        app.include_router(part.router)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    return app
