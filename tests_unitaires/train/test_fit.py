from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from meteo.errors import InvalidInput, NotEnoughData
from meteo.forecasts.verification import best_threshold
from train.dataset import Dataset
from train.fit import Recipe, fit, lessons
from train.kinds import KINDS


def quiet(_: str) -> None:
    return


def test_a_fit_learns_and_its_card_tells_how_well(dataset: Dataset, recipe: Recipe) -> None:
    model = fit(dataset, recipe, "d" * 32, "c" * 40, quiet)
    card = model.card
    assert card.metrics["roc_auc"] > 0.8
    assert card.metrics["brier"] < card.baselines["climatology"]["brier"]
    assert card.metrics["n"] == len(dataset.test)
    assert card.params["max_depth"] == 3
    assert card.params["min_child_weight"] == 40
    assert int(card.params["rounds"]) > 0
    assert (card.data_version, card.git_commit, card.simulated) == ("d" * 32, "c" * 40, True)
    assert card.split["train_start"] < card.split["validation_start"] < card.split["test_start"]


def test_the_threshold_is_the_best_of_the_validation_period_and_judged_on_the_holdout(
    dataset: Dataset, recipe: Recipe
) -> None:
    model = fit(dataset, recipe, "", "", quiet)
    kind, validation = KINDS[recipe.kind], dataset.validation
    _, _, early = lessons(dataset, recipe)
    chances, _ = kind.tune_on_validation(early, validation, kind.parameters(recipe.params), recipe.seed, quiet)
    assert model.card.threshold == best_threshold(validation.label, chances)
    assert model.card.threshold != 0.5, "or a constant would do"
    told = model.probability(dataset.test.matrix) >= model.card.threshold
    wet, scored = dataset.test.label, model.card.metrics
    expected = {"accuracy": metrics.accuracy_score(wet, told), "precision": metrics.precision_score(wet, told),
                "recall": metrics.recall_score(wet, told), "f1": metrics.f1_score(wet, told)}  # fmt: skip
    assert {name: scored[name] for name in expected} == pytest.approx(expected)


def test_the_same_recipe_gives_the_same_bytes_of_predictions(dataset: Dataset, recipe: Recipe) -> None:
    one, two = (fit(dataset, recipe, "", "", quiet).probability(dataset.test.matrix) for _ in range(2))
    assert one.tobytes() == two.tobytes()


def test_nothing_that_is_fitted_sees_the_test_labels(dataset: Dataset, recipe: Recipe) -> None:
    turned = replace(dataset, test=replace(dataset.test, label=1 - dataset.test.label))
    honest, blind = fit(dataset, recipe, "", "", quiet), fit(turned, recipe, "", "", quiet)
    np.testing.assert_array_equal(honest.probability(dataset.test.matrix), blind.probability(dataset.test.matrix))
    assert honest.card.threshold == blind.card.threshold


@pytest.mark.parametrize("kind", ["logistic", "random_forest"])
def test_other_kinds_learn_alike(dataset: Dataset, recipe: Recipe, kind: str) -> None:
    params = {"n_estimators": 30} if kind == "random_forest" else {}
    card = fit(dataset, replace(recipe, kind=kind, params=params), "", "", quiet).card
    assert card.kind == kind
    assert card.metrics["roc_auc"] > 0.8


def test_too_few_rows_are_refused(dataset: Dataset, recipe: Recipe) -> None:
    with pytest.raises(NotEnoughData, match="at least 5000 are needed"):
        fit(dataset, replace(recipe, minimum_rows=5000), "", "", quiet)


def test_a_period_without_rain_is_refused(dataset: Dataset, recipe: Recipe) -> None:
    dry = replace(dataset, validation=replace(dataset.validation, label=np.zeros(len(dataset.validation))))
    with pytest.raises(NotEnoughData, match="validation period"):
        fit(dry, recipe, "", "", quiet)


def test_a_parameter_the_kind_does_not_take_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="depth") as refusal:
        KINDS["xgboost"].parameters({"depth": 3})
    ((field, right),) = refusal.value.fields
    assert (field, right.partition(",")[0]) == ("params.depth", "is no parameter of xgboost")
