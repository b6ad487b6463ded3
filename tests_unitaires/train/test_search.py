from dataclasses import replace

import numpy as np
import pytest

from train.dataset import Dataset
from train.fit import Recipe
from train.kinds import KINDS
from train.search import search


def quiet(_: str) -> None:
    return


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_best_of_the_trials_is_taken_and_the_recipes_own_is_among_them(
    dataset: Dataset, recipe: Recipe, kind: str
) -> None:
    given = {"n_estimators": 10} if kind == "random_forest" else {}
    asked = replace(recipe, kind=kind, params=given)
    params, trials = search(dataset, asked, 4, quiet)
    assert len(trials) == 4
    assert trials[0].params == KINDS[kind].parameters(given)
    assert params == min(trials, key=lambda trial: trial.log_loss).params
    assert len({trial.log_loss for trial in trials}) > 1
    for trial in trials:
        for name, (low, high, _) in KINDS[kind].space.items():
            assert low <= float(trial.params[name]) <= high
            assert isinstance(trial.params[name], type(low))


def test_a_search_is_repeatable_and_never_looks_at_the_test_period(dataset: Dataset, recipe: Recipe) -> None:
    turned = replace(dataset, test=replace(dataset.test, label=1 - dataset.test.label, matrix=-dataset.test.matrix))
    once, other = (search(given, recipe, 3, quiet)[1] for given in (dataset, turned))
    assert once == other
    np.testing.assert_array_less(0, [trial.log_loss for trial in once])
