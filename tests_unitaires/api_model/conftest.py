from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api_model.app import create_app
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch, Quarantined
from meteo.archive.store import Flag, ObservationStore
from meteo.forecasts.prediction_log import PredictionLog
from meteo.observation import Observations
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import Caller, ServiceTokens

TOKENS = ServiceTokens("s" * 32)


class Windy:
    """Calls every wind of the last day suspect."""

    days_back = 0

    def __call__(self, rows: Observations) -> list[Flag]:
        return [Flag(str(rows.station[-1]), rows.day[-1].item(), "wind_speed_3pm", "range", "windy")]


@pytest.fixture
def admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS.issue(Caller('root', 'admin', 'gateway'))}"}


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'predictions.db'}"


@pytest.fixture
def client(folders: Any, shelf: ModelCache, log_url: str, store: ObservationStore, weather: Callable[..., Observations]
           ) -> Iterator[TestClient]:  # fmt: skip
    run = store.ingestions.begin("demo", {})
    wrong = Quarantined("Sydney", date(2020, 1, 31), "humidity_3pm: outside 0 to 100 %", ["humidity_3pm"],
                        {"humidity_3pm": 400.0, "temp_3pm": 20.5})  # fmt: skip
    record = FileRecord("f", STORED, "demo", "[]", 1, bytes=5)
    store.upsert(run.id, record, [Batch(weather(days=30), "IDCJDW2124", [wrong])], Windy())
    store.ingestions.finish(run.id, "success", 0.1, [])
    predictor = Predictor(shelf, Neighbours(store))
    app = create_app(predictor, PredictionLog(connect(log_url)), store, TOKENS, folders, poll_seconds=60)
    with TestClient(app) as found:
        found.headers["Authorization"] = f"Bearer {TOKENS.issue(Caller('ann', 'user', 'gateway'))}"
        found.post("/reload").raise_for_status()
        yield found
