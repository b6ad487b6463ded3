"""`python -m api_model`: serve the model API."""

import uvicorn
from fastapi import FastAPI

from api_model.app import create_app
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import PredictionLog
from meteo.models.registry import Registry
from meteo.runtime import logs, tracing
from meteo.runtime.database import SERVICE, connect
from meteo.runtime.private_files import keep_private
from meteo.runtime.service_tokens import ServiceTokens
from meteo.runtime.settings import Settings

REGISTRY_SECONDS = 5.0


def application(settings: Settings, log: PredictionLog) -> FastAPI:
    """The service that `settings` describe, with its predictions going to `log`."""
    store = ObservationStore(connect(settings.observations_url, SERVICE))
    registry = Registry.of(settings, REGISTRY_SECONDS)
    return create_app(
        Predictor(ModelCache(registry, settings.home / "models"), Neighbours(store)),
        log,
        store,
        ServiceTokens(settings.secret(settings.service_secret, "METEO_SERVICE_SECRET")),
        registry,
        poll_seconds=settings.api_model.poll_seconds,
        minimum_outcomes=settings.monitoring.minimum_outcomes,
    )


def serve(app: FastAPI, settings: Settings) -> None:
    """Serve until told to stop."""
    uvicorn.run(
        app,
        host=settings.api_model.host,
        port=settings.api_model.port,
        log_config=None,
        access_log=False,
        http="httptools",
        proxy_headers=False,
        server_header=False,
    )


def main() -> None:
    settings = Settings()
    keep_private(settings.home)
    logs.configure("api_model", settings.log_level)
    tracing.configure("api_model", settings.otlp_endpoint)
    serve(application(settings, PredictionLog(connect(settings.predictions_url, SERVICE))), settings)


if __name__ == "__main__":
    main()
