"""`python -m api_model`: serve the model API."""

import uvicorn
from fastapi import FastAPI

from api_model.app import create_app
from api_model.neighbours import Neighbours
from api_model.predictor import Predictor
from api_model.shelf import Shelf
from meteo import logs, tracing
from meteo.auth import ServiceTokens
from meteo.database import connect
from meteo.prediction_log import PredictionLog
from meteo.registry import Registry
from meteo.settings import Settings
from meteo.store import ObservationStore


def application(settings: Settings, log: PredictionLog) -> FastAPI:
    """The service that `settings` describe, with its predictions going to `log`."""
    store = ObservationStore(connect(settings.observations_url))
    registry = Registry(settings.mlflow.address, settings.train.model_name)
    return create_app(
        Predictor(Shelf(registry, settings.home / "models"), Neighbours(store)),
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
        app, host=settings.api_model.host, port=settings.api_model.port, log_config=None, access_log=False,
        http="httptools", proxy_headers=False, server_header=False,
    )  # fmt: skip


def main() -> None:
    settings = Settings()
    logs.configure("api_model", settings.log_level)
    tracing.configure("api_model", settings.otlp_endpoint)
    serve(application(settings, PredictionLog(connect(settings.predictions_url))), settings)


if __name__ == "__main__":
    main()
