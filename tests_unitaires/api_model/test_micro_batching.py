import asyncio
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event

from api_model.metrics import ModelMetrics
from api_model.micro_batching import MicroBatcher
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import FRESH_SECONDS, Neighbours
from api_model.predictor import Predictor
from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import PredictionLog, records
from meteo.observation import Observations
from meteo.runtime.database import connect
from meteo.schemas.forecasts import Prediction, PredictRequest


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self) -> None:
        self.now += FRESH_SECONDS


def ask(station: str = "Sydney", **more: object) -> PredictRequest:
    body = {"station": station, "date": date(2020, 1, 30), "observation": {"humidity_3pm": 90.0}, **more}
    return PredictRequest.model_validate(body)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def predictor(
    shelf: ModelCache, store: ObservationStore, put: Any, weather: Callable[..., Observations], clock: Clock
) -> Predictor:
    put(store, weather(days=30))
    found = Predictor(shelf, Neighbours(store, clock))
    found.reload()
    return found


@pytest.fixture
def log(tmp_path: Path) -> Any:
    found = PredictionLog(connect(f"sqlite:///{tmp_path / 'predictions.db'}"))
    found.start()
    yield found
    found.stop()


def answers(
    predictor: Predictor, log: PredictionLog, *requests: PredictRequest, meanwhile: Callable[[], object] = lambda: None
) -> list[Prediction | BaseException]:
    """Of requests that arrive at the same moment; `meanwhile` happens before any is answered."""

    async def all_of_them() -> list[Prediction | BaseException]:
        micro_batcher = MicroBatcher(predictor, log, ModelMetrics(CollectorRegistry(), log.waiting))
        asked = [asyncio.ensure_future(micro_batcher.predict(request, "request-1", "ann")) for request in requests]
        asyncio.get_running_loop().call_soon(meanwhile)
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(all_of_them())


def test_no_store_is_read_on_the_event_loop_even_when_what_was_known_grows_old(
    predictor: Predictor, log: PredictionLog, store: ObservationStore, clock: Clock
) -> None:
    readers: list[threading.Thread] = []
    event.listen(store.engine, "before_cursor_execute", lambda *_: readers.append(threading.current_thread()))
    (first,) = answers(predictor, log, ask())
    assert isinstance(first, Prediction)
    assert readers, "the first asks the store"
    readers.clear()
    (second,) = answers(predictor, log, ask(), meanwhile=clock.advance)
    assert isinstance(second, Prediction)
    assert second.probability == first.probability
    (third,) = answers(predictor, log, ask())
    assert isinstance(third, Prediction)
    assert readers, "old by now"
    assert threading.main_thread() not in readers


@pytest.mark.parametrize("broken", ["version", "row"])
def test_one_that_fails_harms_no_other_of_its_moment(
    predictor: Predictor, log: PredictionLog, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    answers(predictor, log, ask(), ask(model="2"))
    model = predictor.chosen("2") if broken == "version" else predictor.model
    matrix = model.matrix

    def failing(rows: Observations, *more: Any) -> Any:
        if broken == "version" or "Perth" in rows.station:
            raise RuntimeError("broken")
        return matrix(rows, *more)

    monkeypatch.setattr(model, "matrix", failing)
    bad = ask(model="2") if broken == "version" else ask("Perth")
    first, second, third = answers(predictor, log, ask(), bad, ask())
    assert isinstance(first, Prediction)
    assert isinstance(second, RuntimeError)
    assert isinstance(third, Prediction)
    logged = {record.prediction_id for record in records(log.engine)}
    assert {first.prediction_id, third.prediction_id} < logged
    assert len(logged) == 4
