from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xgboost

from meteo import features
from meteo.climate import Climate
from meteo.errors import InvalidInput
from meteo.model import CARD, CLIMATE, Card, Model, UnusableModel, sigmoid
from meteo.observation import Observations
from meteo.surroundings import Surroundings

Build = Callable[..., Observations]


def test_a_bundle_predicts_as_the_booster_that_was_saved(bundle: Path, weather: Build) -> None:
    rows, model = weather(days=20), Model.load(bundle, "7")
    around = Surroundings.of(rows)
    matrix = features.features(rows, around, Climate.fit(weather()))
    booster = xgboost.Booster(model_file=bundle / "model.ubj")
    expected = booster.predict(xgboost.DMatrix(matrix, feature_names=list(features.NAMES)))
    found, used = model.predict(rows, around)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(used, matrix)


def test_base_and_effects_add_up_to_the_margin(bundle: Path, weather: Build) -> None:
    model = Model.load(bundle, "7")
    matrix = model.matrix(weather(days=20), Surroundings.nothing())
    effects, base = model.estimator.contributions(matrix)
    np.testing.assert_allclose(base + effects.sum(axis=1), model.estimator.margin(matrix), atol=1e-4)
    np.testing.assert_allclose(sigmoid(model.estimator.margin(matrix)), model.probability(matrix))


@pytest.mark.parametrize("kind", ["logistic", "random_forest"])
def test_other_kinds_load_and_predict(kind: str, weather: Build, tmp_path: Path, card: Card) -> None:
    import pickle

    from meteo.model import seal
    from train.dataset import Part
    from train.models import KINDS

    rows = weather(days=100)
    climate = Climate.fit(rows)
    part = Part(
        rows, features.features(rows, Surroundings.of(rows), climate), (rows.column("humidity_3pm") > 70).astype(float)
    )
    params = {"C": 1.0} if kind == "logistic" else {"n_estimators": 5}
    fitted = KINDS[kind].fit(part, params, 1, lambda _: None)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(fitted.pipeline))  # type: ignore[attr-defined]
    seal(tmp_path, climate, card.model_copy(update={"kind": kind, "file": "model.pkl"}))
    model = Model.load(tmp_path, "2")
    probability = model.probability(part.matrix)
    assert probability[part.label == 1].mean() > probability[part.label == 0].mean() + 0.3
    if kind == "logistic":
        effects, base = model.estimator.contributions(part.matrix)
        np.testing.assert_allclose(base + effects.sum(axis=1), model.estimator.margin(part.matrix), atol=1e-4)
    else:
        with pytest.raises(InvalidInput, match="explain"):
            model.estimator.contributions(part.matrix)


@pytest.mark.parametrize("name", ["model.ubj", CLIMATE])
def test_a_flipped_byte_is_refused_before_the_file_is_loaded(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    place = content.index(b"0.") if name == CLIMATE else len(content) // 2
    content[place] ^= 1
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
