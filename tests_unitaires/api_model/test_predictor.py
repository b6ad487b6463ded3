from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from api_model.model_cache import ModelCache
from api_model.neighbour_cache import FRESH_SECONDS, Neighbours
from api_model.predictor import Predictor
from api_model.scoring import Scoring
from meteo.archive.store import ObservationStore
from meteo.errors import InvalidInput, Unavailable, UnknownStation
from meteo.features.neighbours import Surroundings
from meteo.features.station_row import STATIONS
from meteo.models.bundle import Model
from meteo.observation import Observations
from meteo.schemas.forecasts import BatchError, PredictRequest

Build = Callable[..., Observations]
Put = Callable[[ObservationStore, Observations], None]
NOW = datetime(2024, 6, 1, tzinfo=UTC)


def ask(fields: dict[str, object], **more: object) -> PredictRequest:
    body = {"station": "Sydney", "date": "2024-05-01", "observation": fields, **more}
    return PredictRequest.model_validate(body, strict=False)


@pytest.fixture
def predictor(shelf: ModelCache, store: ObservationStore) -> Predictor:
    found = Predictor(shelf, Neighbours(store))
    found.reload()
    return found


@pytest.mark.parametrize(("neighbours", "used"), [("all", 3), ("some", 1), ("none", 0)])
def test_a_stored_day_gets_the_same_probability_as_in_the_batch(
    put: Put, predictor: Predictor, bundle: Path, weather: Build, store: ObservationStore, neighbours: str, used: int
) -> None:
    rows = weather(stations=("Canberra", "Perth", "Richmond", "Sydney"), days=300)
    some = {"all": ("Canberra", "Perth", "Richmond", "Sydney"), "some": ("Canberra", "Sydney"), "none": ()}[neighbours]
    reported = rows[np.isin(rows.station, some)]
    if len(reported):
        put(store, reported)
    batch, _ = Model.load(bundle, "1").predict(rows, Surroundings.of(reported))
    chosen = np.random.default_rng(0).choice(len(rows), 1000, replace=False)
    for row in chosen:
        (items,) = rows[row : row + 1].items()
        known = {name: value for name, value in items.items() if value is not None}
        station = str(rows.station[row])
        request = PredictRequest.model_validate(
            {"station": station, "date": rows.day[row].item(), "observation": known}
        )
        answer = predictor.predict(request, "r", NOW)
        assert answer.probability == pytest.approx(batch[row], abs=1e-6)
        assert answer.neighbours_used == (used if station in ("Canberra", "Sydney") or used != 1 else 2)


def test_an_answer_says_what_it_covers_and_what_was_missing(predictor: Predictor) -> None:
    answer = predictor.predict(ask({"humidity_3pm": 95.0}), "request-1", NOW)
    assert answer.period.start.isoformat() == "2024-05-01T09:00:00+10:00"
    assert len(answer.missing) == 18
    assert "humidity_3pm" not in answer.missing
    assert (answer.request_id, answer.model.version, answer.threshold) == ("request-1", "1", 0.3)
    assert answer.rain_tomorrow == (answer.probability >= 0.3)
    assert answer.simulated is True
    assert answer.usual == predictor.model.climate.rain[STATIONS.index(answer.station), 4], "of May, not of the year"


def test_humid_afternoons_are_likelier_to_be_followed_by_rain(predictor: Predictor) -> None:
    wet, dry = (predictor.predict(ask({"humidity_3pm": value}), "r", NOW).probability for value in (95.0, 30.0))
    assert wet > 0.8
    assert dry < 0.2


def test_reasons_add_up_to_the_margin_of_the_probability(predictor: Predictor) -> None:
    answer = predictor.predict(ask({"humidity_3pm": 90.0}, explain=True), "r", NOW)
    assert answer.base is not None
    assert answer.margin is not None
    assert answer.contributions is not None
    assert answer.base + sum(part.effect for part in answer.contributions) == pytest.approx(answer.margin, abs=1e-4)
    assert 1 / (1 + np.exp(-answer.margin)) == pytest.approx(answer.probability)
    assert next(part.value for part in answer.contributions if part.feature == "humidity_3pm") == 90
    assert next(part.value for part in answer.contributions if part.feature == "temp_3pm") is None


def test_a_day_to_come_and_an_unknown_station_are_refused(predictor: Predictor) -> None:
    with pytest.raises(InvalidInput, match="date: 2024-05-01 has not come yet"):
        predictor.predict(ask({"humidity_3pm": 90.0}), "r", datetime(2024, 4, 30, 12, tzinfo=UTC))
    with pytest.raises(UnknownStation):
        predictor.predict(ask({"humidity_3pm": 90.0}, station="Sidney"), "r", NOW)


def test_before_a_model_is_loaded_nothing_is_answered(shelf: ModelCache, store: ObservationStore) -> None:
    empty = Predictor(shelf, Neighbours(store))
    empty.resume()
    assert not empty.loaded
    with pytest.raises(Unavailable, match="no model is loaded"):
        empty.predict(ask({"humidity_3pm": 90.0}), "r", NOW)


def test_a_new_champion_is_swapped_in(predictor: Predictor, folders: Any) -> None:
    folders.point("champion", "2")
    predictor.reload()
    assert predictor.predict(ask({"humidity_3pm": 90.0}), "r", NOW).model.version == "2"


def test_when_the_registry_is_away_the_old_model_serves_on_even_after_a_restart(
    predictor: Predictor, folders: Any, store: ObservationStore, shelf: ModelCache
) -> None:
    folders.faults.append("away")
    again = Predictor(shelf, Neighbours(store))
    again.resume()
    for service in (predictor, again):
        with pytest.raises(Unavailable):
            service.reload()
        assert service.problem == "the model registry does not answer"
        assert service.predict(ask({"humidity_3pm": 90.0}), "r", NOW).model.version == "1"


def test_another_published_version_can_be_asked_for(predictor: Predictor) -> None:
    assert predictor.basis(ask({"humidity_3pm": 90.0}, model="2")) is None
    assert predictor.predict(ask({"humidity_3pm": 90.0}, model="2"), "r", NOW).model.version == "2"
    assert predictor.predict(ask({"humidity_3pm": 90.0}), "r", NOW).model.version == "1"
    with pytest.raises(InvalidInput, match="no version 9"):
        predictor.predict(ask({"humidity_3pm": 90.0}, model="9"), "r", NOW)


def test_a_batch_of_days_years_apart_reads_only_the_days_around_them(
    put: Put, predictor: Predictor, store: ObservationStore, weather: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, weather(stations=("Richmond", "Sydney"), days=1500))
    read: list[tuple[date, date]] = []
    window = store.window

    def noted(start: date, end: date) -> Observations:
        read.append((start, end))
        return window(start, end)

    monkeypatch.setattr(store, "window", noted)
    days = ["2023-12-01", "2020-01-10", "2020-01-12", "2021-01-20"]
    rows = [{"station": "Sydney", "date": day, "observation": {"humidity_3pm": 90.0}} for day in days]
    scoring = Scoring(predictor, "r", NOW)
    scoring.begin(len(rows))
    scoring.take(rows)
    list(scoring.score())
    assert [(last - first).days for first, last in read] == [3, 1, 1]
    for row, answer in zip(rows, scoring.answer(rows, 0), strict=True):
        assert not isinstance(answer, BatchError)
        alone = predictor.predict(ask({"humidity_3pm": 90.0}, date=row["date"]), "r", NOW)
        assert answer[1].date.isoformat() == row["date"]
        assert answer[1].probability == pytest.approx(alone.probability, abs=1e-6)
        assert answer[1].missing == alone.missing


def test_the_map_is_computed_again_only_when_something_changed(
    put: Put, folders: Any, store: ObservationStore, weather: Build, shelf: ModelCache
) -> None:
    put(store, weather(stations=("Richmond", "Sydney"), days=30))
    clock = Clock()
    predictor = Predictor(shelf, Neighbours(store, clock))
    predictor.reload()
    first = predictor.forecast(None)
    assert predictor.forecast(first.date) is first
    put(store, weather(stations=("Perth",), days=31))
    clock.now += FRESH_SECONDS
    second = predictor.forecast(None)
    assert second.date == first.date + timedelta(days=1)
    folders.point("champion", "2")
    predictor.reload()
    assert predictor.forecast(None).model.version == "2"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now
