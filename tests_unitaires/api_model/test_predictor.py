from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from api_model.neighbours import Neighbours
from api_model.predictor import Predictor
from meteo.contract import PredictRequest
from meteo.errors import InvalidInput, Unavailable, UnknownStation
from meteo.ingestions import STORED, FileRecord
from meteo.merge import Batch
from meteo.model import Model, UnusableModel
from meteo.observation import Observations
from meteo.store import ObservationStore
from meteo.surroundings import Surroundings

Build = Callable[..., Observations]
NOW = datetime(2024, 6, 1, tzinfo=UTC)


class Shelf:
    """A registry of folders; `champion` may be moved or broken."""

    name = "rain-tomorrow"

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders
        self.champion: str | None = next(iter(folders), None)
        self.away = False

    def version_of(self, alias: str) -> str | None:
        if self.away:
            raise Unavailable("the model registry does not answer")
        return self.champion

    def load(self, alias: str) -> Model:
        if self.champion is None:
            raise Unavailable("no champion")
        return self.load_version(self.champion)

    def load_version(self, version: str) -> Model:
        return Model.load(self.folders[version], version)


def ask(fields: dict[str, object], **more: object) -> PredictRequest:
    body = {"station": "Sydney", "date": "2024-05-01", "observation": fields, **more}
    return PredictRequest.model_validate(body, strict=False)


@pytest.fixture
def shelf(bundle: Path) -> Shelf:
    return Shelf({"1": bundle, "2": bundle})


@pytest.fixture
def predictor(shelf: Shelf, store: ObservationStore) -> Predictor:
    found = Predictor(shelf, Neighbours(store))
    found.reload()
    return found


@pytest.mark.parametrize(("neighbours", "used"), [("all", 3), ("some", 1), ("none", 0)])
def test_a_stored_day_gets_the_same_probability_as_in_the_batch(
    predictor: Predictor, bundle: Path, weather: Build, store: ObservationStore, neighbours: str, used: int
) -> None:
    rows = weather(stations=("Canberra", "Perth", "Richmond", "Sydney"), days=300)
    some = {"all": ("Canberra", "Perth", "Richmond", "Sydney"), "some": ("Canberra", "Sydney"), "none": ()}[neighbours]
    reported = rows[np.isin(rows.station, some)]
    if len(reported):
        run = store.ingestions.begin("file", {})
        store.upsert(run.id, FileRecord("f", STORED, "file", "[]", 1), [Batch(reported, "weatherAUS")])
    batch, _ = Model.load(bundle, "1").predict(rows, Surroundings.of(reported))
    chosen = np.random.default_rng(0).choice(len(rows), 400, replace=False)
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


def test_before_a_model_is_loaded_nothing_is_answered(shelf: Shelf, store: ObservationStore) -> None:
    empty = Predictor(shelf, Neighbours(store))
    assert not empty.loaded
    with pytest.raises(Unavailable, match="no model is loaded"):
        empty.predict(ask({"humidity_3pm": 90.0}), "r", NOW)


def test_a_new_champion_is_swapped_in(predictor: Predictor, shelf: Shelf) -> None:
    shelf.champion = "2"
    predictor.reload()
    assert predictor.predict(ask({"humidity_3pm": 90.0}), "r", NOW).model.version == "2"


def test_when_a_new_champion_is_broken_the_old_one_serves_on_and_says_so(
    predictor: Predictor, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.folders["3"] = tmp_path / "nothing here"
    shelf.champion = "3"
    with pytest.raises(UnusableModel):
        predictor.reload()
    assert predictor.predict(ask({"humidity_3pm": 90.0}), "r", NOW).model.version == "1"
    assert predictor.problem is not None
    assert "version 3 cannot be read" in predictor.problem
    shelf.champion = "1"
    predictor.reload()
    assert predictor.problem is None


def test_when_the_registry_is_away_the_old_model_serves_on(predictor: Predictor, shelf: Shelf) -> None:
    shelf.away = True
    with pytest.raises(Unavailable):
        predictor.reload()
    assert predictor.model.version == "1"


def test_another_published_version_can_be_asked_for(predictor: Predictor) -> None:
    assert predictor.predict(ask({"humidity_3pm": 90.0}, model="2"), "r", NOW).model.version == "2"
    assert predictor.predict(ask({"humidity_3pm": 90.0}), "r", NOW).model.version == "1"
