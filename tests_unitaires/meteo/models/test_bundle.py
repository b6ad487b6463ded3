from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xgboost

from meteo.errors import InvalidInput
from meteo.features.climatology import Climate
from meteo.features.matrix import FEATURE_NAMES, feature_matrix
from meteo.features.neighbours import Surroundings
from meteo.models.bundle import Model, seal, sigmoid, try_out
from meteo.models.card import CARD, CLIMATE, GRAPH, Card, UnusableModel
from meteo.models.explanations import BOOSTER
from meteo.observation import Observations
from train.dataset import Part
from train.kinds import KINDS

Build = Callable[..., Observations]


def test_a_bundle_predicts_as_the_booster_that_was_saved(bundle: Path, weather: Build) -> None:
    rows, model = weather(days=20), Model.load(bundle, "7")
    around = Surroundings.of(rows)
    matrix = feature_matrix(rows, around, Climate.fit(weather()))
    booster = xgboost.Booster(model_file=bundle / "model.ubj")
    expected = booster.predict(xgboost.DMatrix(matrix, feature_names=list(FEATURE_NAMES)))
    found, used = model.predict(rows, around)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(used, matrix)


def test_base_and_effects_add_up_to_the_margin(bundle: Path, weather: Build) -> None:
    model = Model.load(bundle, "7")
    matrix = model.matrix(weather(days=20), Surroundings.nothing())
    effects, base = model.estimator.contributions(matrix)
    np.testing.assert_allclose(base + effects.sum(axis=1), model.estimator.margin(matrix), atol=1e-4)
    np.testing.assert_allclose(sigmoid(model.estimator.margin(matrix)), model.probability(matrix))


@pytest.mark.parametrize("kind", ["xgboost", "logistic", "random_forest"])
def test_every_kind_is_served_as_it_was_fitted(kind: str, weather: Build, tmp_path: Path, card: Card) -> None:
    rows = weather(days=300)
    climate = Climate.fit(rows)
    matrix = feature_matrix(rows, Surroundings.of(rows), climate)
    part = Part(rows, matrix, (rows.column("humidity_3pm") > 70).astype(float))
    small: dict[str, dict[str, float | int | str]] = {
        "xgboost": {"rounds": 20, "eta": 0.3, "min_child_weight": 1, "colsample_bytree": 1.0},
        "logistic": {"C": 1.0},
        "random_forest": {"n_estimators": 20},
    }
    fitted = KINDS[kind]
    params = fitted.parameters(small[kind])
    files = fitted.fit(part, params, 1, lambda _: None)
    seal(files, climate, matrix[:8], card.model_copy(update={"kind": kind})).save(tmp_path)
    try_out(tmp_path, "2")
    model = Model.load(tmp_path, "2")
    probability = model.probability(matrix)
    assert probability[part.label == 1].mean() > probability[part.label == 0].mean() + 0.3
    if kind != "xgboost":
        chances, _ = fitted.tune_on_validation(part, part, params, 1, lambda _: None)
        np.testing.assert_allclose(probability, np.clip(chances, 0.001, 0.999) if kind != "logistic" else chances,
                                   atol=1e-5)  # fmt: skip
    if kind == "random_forest":
        with pytest.raises(InvalidInput, match="explain"):
            model.estimator.contributions(matrix)
    else:
        effects, base = model.estimator.contributions(matrix)
        np.testing.assert_allclose(base + effects.sum(axis=1), model.estimator.margin(matrix), atol=1e-4)


@pytest.mark.parametrize("name", [GRAPH, BOOSTER, CLIMATE])
def test_a_flipped_byte_is_refused_before_the_file_is_loaded(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(UnusableModel, match="is not the file that was published"):
        Model.load(bundle, "7")


def test_a_missing_or_cut_card_is_refused(bundle: Path) -> None:
    text = (bundle / CARD).read_text()
    (bundle / CARD).write_text(text[: len(text) // 2])
    with pytest.raises(UnusableModel, match="version 7 cannot be read"):
        Model.load(bundle, "7")
    (bundle / CARD).unlink()
    with pytest.raises(UnusableModel, match="version 7 cannot be read"):
        Model.load(bundle, "7")


def test_a_model_made_for_other_features_is_refused(bundle: Path) -> None:
    text = (bundle / CARD).read_text().replace('"humidity_3pm"', '"humidity_6pm"')
    (bundle / CARD).write_text(text)
    with pytest.raises(UnusableModel, match="other features"):
        Model.load(bundle, "7")
