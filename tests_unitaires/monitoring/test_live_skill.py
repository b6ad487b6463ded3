"""What a card promises and what is then measured live are one thing: on the same days they are the same number."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import insert

from api_model.app import create_app
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.store import ObservationStore
from meteo.forecasts.daily_forecasts import forecasts
from meteo.forecasts.prediction_log import PredictionLog, Record, new_id
from meteo.forecasts.tables import PREDICTIONS
from meteo.observation import INDEX, Observations
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import Caller, ServiceTokens
from monitoring.__main__ import champion_of
from monitoring.retraining import decide
from train.backtest import dataset_of
from train.fit import Recipe, fit

TOKENS = ServiceTokens("s" * 32)
HELD_OUT = (date(2021, 7, 1), date(2021, 12, 29))


@pytest.fixture
def seasonal(weather: Callable[..., Observations]) -> Observations:
    """Two years in which it mostly rains in winter, at one place far more than at the other: climatology is hard to
    beat, a constant is not."""
    rows = weather(days=730)
    month = rows.day.astype("datetime64[M]").astype(int) % 12
    chance = np.where((month >= 3) & (month < 9), 0.8, 0.1) * np.where(rows.station == "Perth", 1, 0.3)
    wet = np.random.default_rng(0).uniform(size=len(rows)) < chance
    values = rows.values.copy()
    values[:, INDEX["rainfall"]] = np.where(wet, 5.0, 0.0)
    return Observations(rows.station, rows.day, values)


def test_the_promised_skill_is_the_live_skill_of_the_same_days(
    seasonal: Observations, database: str, folders: Any, tmp_path: Path, put: Callable[..., None],
    serve: Callable[[Any], str],
) -> None:  # fmt: skip
    dataset = dataset_of(seasonal, date(2021, 6, 30), *HELD_OUT)
    model = fit(dataset, Recipe("logistic", {}, 1, 0.5, 300), "d" * 32, "c" * 40, lambda _: None)
    folders.folders["3"] = tmp_path / "third"
    folders.folders["3"].mkdir()
    model.save(folders.folders["3"])
    folders.aliases["champion"] = "3"
    promised = model.card.metrics["brier_skill"]

    store, log = ObservationStore(connect(database)), PredictionLog(connect(database))
    store.create()
    log.create()
    put(store, seasonal)
    held = dataset.test.observations
    served = [
        Record(new_id(), datetime.combine(day, time(12), UTC), "r", "ann", station, day, {}, chance, 0.5, False, "3")
        for station, day, chance in zip(
            held.station.tolist(), held.day.tolist(), model.probability(dataset.test.matrix).tolist(), strict=True
        )
    ]
    with log.engine.begin() as connection:
        connection.execute(insert(PREDICTIONS), [vars(record) for record in served])
    predictor = Predictor(ModelCache(folders, tmp_path / "models"), Neighbours(store))
    address = serve(create_app(predictor, log, store, TOKENS, folders, poll_seconds=60))
    token = {"Authorization": f"Bearer {TOKENS.issue(Caller('root', 'admin', 'gateway'))}"}
    asked = {"start": HELD_OUT[0].isoformat()}
    (live,) = httpx.get(f"{address}/quality", params=asked, headers=token, trust_env=False, timeout=60).json()
    assert live["outcomes"] == len(held)
    assert live["skill"] == pytest.approx(promised)

    told = forecasts(log.engine, store, *HELD_OUT)
    found = decide(told, champion_of(folders), datetime.now(UTC), 100, 7)
    assert f"skill {promised:.2f} of {promised:.2f} promised" in found.reason
