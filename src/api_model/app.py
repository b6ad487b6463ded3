"""The model API: internal, for callers with a service token only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from api_model.batches import Batches
from api_model.dependencies import Services
from api_model.endpoints import forecasts, ingestions, models, observations
from api_model.metrics import ModelMetrics, StoreMetrics
from api_model.micro_batching import MicroBatcher
from api_model.predictor import Predictor
from api_model.serving import Serving
from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import PredictionLog
from meteo.http.service import install_service
from meteo.models.registry import Registry
from meteo.runtime.service_tokens import ServiceTokens
from meteo.runtime.threads import Probe, Threads

THREADS = 16
PATIENCE = dict.fromkeys(("/models/", "/reload"), 95.0) | dict.fromkeys(("/quality", "/data-quality"), 30.0)
PATIENCE["/predict/batch"] = 125.0
"""Seconds for what takes longer than others: loading models, looking through all that is stored."""
_CLIMATES_KEPT = 64
"""Of so many versions the climatology is remembered: it never changes."""


def create_app(
    predictor: Predictor,
    log: PredictionLog,
    store: ObservationStore,
    tokens: ServiceTokens,
    registry: Registry,
    *,
    poll_seconds: float,
    minimum_outcomes: int = 200,
) -> FastAPI:
    """The service; it asks the registry for the champion every `poll_seconds`, and calls live quality measured from
    `minimum_outcomes` on."""
    collectors = CollectorRegistry()
    metrics = ModelMetrics(collectors, log.waiting)
    collectors.register(StoreMetrics(store))
    serving, batches = Serving(predictor, registry, store.engine, metrics), Batches(predictor, log, metrics)
    databases = Probe("predictions", log.engine), Probe("observations", store.engine)

    async def missing() -> str | None:
        if not predictor.loaded:
            return predictor.problem
        return next(filter(None, await asyncio.gather(*(database.missing() for database in databases))), None)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(Threads(THREADS, "database"))
        log.start()
        store.create()
        serving.resume()
        following = asyncio.create_task(serving.follow_champion(poll_seconds))
        yield
        following.cancel()
        batches.close()
        log.stop()

    app = FastAPI(title="Rain tomorrow: model API", lifespan=lifespan, docs_url=None, redoc_url=None)
    climates = lru_cache(_CLIMATES_KEPT)(registry.climate)
    micro_batcher = MicroBatcher(predictor, log, metrics)
    app.state.services = Services(serving, micro_batcher, batches, log, store, tokens, climates, minimum_outcomes)
    install_service(app, collectors, missing, patience=PATIENCE)
    app.router.routes.extend(forecasts.direct.routes)
    for part in (forecasts, models, observations, ingestions):
        app.include_router(part.router)
    return app
