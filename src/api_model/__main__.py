"""`python -m api_model`: serve the model API."""

import uvicorn

from api_model.app import create_app
from api_model.neighbours import Neighbours
from api_model.predictor import Predictor
from api_model.shelf import Shelf
from meteo import logs
from meteo.auth import ServiceTokens
from meteo.database import connect
from meteo.prediction_log import PredictionLog
from meteo.registry import Registry
from meteo.settings import Settings
from meteo.store import ObservationStore


def main() -> None:
    settings = Settings()
    logs.configure("api_model", settings.log_level)
    store = ObservationStore(connect(settings.observations_url))
    registry = Registry(settings.mlflow.address, settings.train.model_name)
    app = create_app(
        Predictor(Shelf(registry, settings.home / "models"), Neighbours(store)),
        PredictionLog(connect(settings.predictions_url)),
        store,
        ServiceTokens(settings.secret(settings.service_secret, "METEO_SERVICE_SECRET")),
        registry,
        poll_seconds=settings.api_model.poll_seconds,
    )
    uvicorn.run(
        app, host=settings.api_model.host, port=settings.api_model.port, log_config=None, access_log=False,
        http="httptools",
    )  # fmt: skip


if __name__ == "__main__":
    main()
