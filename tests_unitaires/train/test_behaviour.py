from dataclasses import replace

import numpy as np
import pytest

from meteo.features.matrix import FEATURE_NAMES
from meteo.models.bundle import Model, seal
from meteo.models.card import GRAPH
from meteo.models.explanations import LINEAR, LinearReasons, linear_file
from train import onnx_export
from train.behaviour import CHECKS, behaviour, objections
from train.dataset import Dataset
from train.fit import Recipe, fit


@pytest.fixture(scope="module")
def good(dataset: Dataset, recipe: Recipe) -> Model:
    return fit(dataset, recipe, "", "", lambda _: None)


def linear_model(good: Model, **weights: float) -> Model:
    """A model that knows only these features."""
    weight = [weights.get(name, 0.0) for name in FEATURE_NAMES]
    zeros = [0.0] * len(FEATURE_NAMES)
    reasons = LinearReasons(-1.0, zeros, zeros, weight, zeros)
    files = {GRAPH: onnx_export.linear(reasons), LINEAR: linear_file(reasons)}
    golden = np.zeros((1, len(FEATURE_NAMES)), np.float32)
    return seal(files, good.climate, golden, good.card.model_copy(update={"kind": "logistic"}))


def test_a_model_of_humid_afternoons_has_nothing_against_it(good: Model, dataset: Dataset) -> None:
    found = behaviour(good, dataset.test, 1)
    assert set(found) == set(CHECKS)
    assert found["15 % more humidity at 3pm"]["mean"] > 0.05
    assert objections(found) == []


@pytest.mark.parametrize(
    ("weights", "check"),
    [
        ({"humidity_3pm": -0.05}, "humidity"),
        ({"pressure_3pm_anomaly": 0.4}, "pressure"),
        ({"rainfall_west_400_km": -0.4, "rainfall_west_1000_km": -0.4}, "west"),
    ],
)
def test_a_model_that_takes_the_weather_the_wrong_way_round_is_named(
    good: Model, dataset: Dataset, weights: dict[str, float], check: str
) -> None:
    test = replace(dataset.test, matrix=np.nan_to_num(dataset.test.matrix, nan=0.0))
    (objection,) = objections(behaviour(linear_model(good, **weights), test, 1))
    assert check in objection
