from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from api_model.app import create_app
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import PredictionLog
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import Caller, ServiceTokens

TOKENS = ServiceTokens("s" * 32)


BODY = {"station": "Sydney", "date": "2020-06-01", "observation": {"humidity_3pm": 90}}


@pytest.mark.parametrize("path", ["/model", "/stations", "/stations/Sydney/observations", "/forecast", "/state"])
def test_every_route_needs_a_service_token(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200
    assert client.get(path, headers={"Authorization": "Bearer x"}).status_code == 401


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/reload"])
def test_posts_need_a_service_token_too(client: TestClient, path: str) -> None:
    assert client.post(path, json=BODY, headers={"Authorization": ""}).status_code == 401


def test_without_a_model_it_is_alive_but_not_ready(
    log_url: str, store: ObservationStore, folders: Any, shelf: ModelCache
) -> None:
    folders.aliases.clear()
    predictor = Predictor(shelf, Neighbours(store))
    app = create_app(predictor, PredictionLog(connect(log_url)), store, TOKENS, folders, poll_seconds=60)
    with TestClient(app) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        token = {"Authorization": f"Bearer {TOKENS.issue(Caller('ann', 'user', 'gateway'))}"}
        assert client.post("/predict", json=BODY, headers=token).status_code == 503
        assert client.post("/reload", headers=token).status_code == 404


def test_explanations_are_ready_before_anybody_asks(
    log_url: str,
    store: ObservationStore,
    folders: Any,
    shelf: ModelCache,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Any,
) -> None:
    explained: list[Any] = []
    monkeypatch.setattr("meteo.models.bundle.Estimator.contributions", lambda _, matrix: explained.append(matrix))
    app = create_app(Predictor(shelf, Neighbours(store)), PredictionLog(connect(log_url)), store, TOKENS, folders,
                     poll_seconds=60)  # fmt: skip
    with TestClient(app):
        eventually(lambda: bool(explained))
    assert np.isnan(explained[0]).all()
