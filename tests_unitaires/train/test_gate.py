from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from meteo import features
from meteo.climate import Climate
from meteo.errors import Conflict
from meteo.model import CLIMATE, Model
from meteo.scores import bootstrap_mean
from train.dataset import Dataset
from train.fit import Recipe, fit
from train.gate import judge, worse_stations


@pytest.fixture(scope="module")
def good(dataset: Dataset, recipe: Recipe) -> Model:
    return fit(dataset, recipe, "", "", lambda _: None)


@pytest.fixture(scope="module")
def bad(dataset: Dataset, recipe: Recipe) -> Model:
    """Trained on shuffled labels."""
    shuffled = np.random.default_rng(0).permutation(dataset.train.label)
    return fit(replace(dataset, train=replace(dataset.train, label=shuffled)), recipe, "", "", lambda _: None)


def test_a_challenger_as_good_as_the_champion_is_promoted(good: Model, dataset: Dataset) -> None:
    verdict = judge(good, good, dataset.test, 0.2, 1)
    assert verdict.promote
    assert verdict.challenger == verdict.champion
    assert verdict.brier_difference == (0, 0, 0)


def test_a_challenger_that_learnt_nothing_is_refused_with_the_numbers(
    good: Model, bad: Model, dataset: Dataset
) -> None:
    verdict = judge(bad, good, dataset.test, 0.5, 1)
    assert not verdict.promote
    assert verdict.champion is not None
    ours, theirs = verdict.challenger["brier"], verdict.champion["brier"]
    assert f"its Brier score {ours:.4f} is worse than the champion's {theirs:.4f}" in verdict.reasons
    assert any(reason.startswith("at Perth its Brier score is worse by") for reason in verdict.reasons)
    assert judge(good, bad, dataset.test, 0.5, 1).promote


def test_a_first_model_must_still_be_calibrated(good: Model, dataset: Dataset) -> None:
    assert judge(good, None, dataset.test, 0.5, 1).promote
    refused = judge(good, None, dataset.test, 0.0001, 1)
    assert not refused.promote
    assert "calibration error" in refused.reasons[0]


def test_a_challenger_is_not_judged_on_days_it_learnt_from(good: Model, dataset: Dataset) -> None:
    later = Model(good.files, good.card.model_copy(update={"split": {"test_start": date(2030, 1, 1)}}))
    with pytest.raises(Conflict, match="trained on days before 2030-01-01"):
        judge(later, None, dataset.test, 0.5, 1)


def test_one_station_that_gets_much_worse_speaks_against_a_challenger(dataset: Dataset) -> None:
    test = dataset.test
    here = test.observations.station == "Perth"
    generator = np.random.default_rng(0)
    difference = np.where(here, generator.normal(0.03, 0.02, len(test)), generator.normal(-0.03, 0.02, len(test)))
    assert list(worse_stations(difference, test, 1)) == ["Perth"]
    assert worse_stations(difference, test, 1)["Perth"] == pytest.approx(difference[here].mean())
    assert worse_stations(np.where(here, 0.009, 0), test, 1) == {}
    assert worse_stations(np.where(here, generator.normal(0.02, 1, len(test)), 0), test, 1) == {}


def test_a_difference_that_chance_explains_is_no_reason_to_refuse() -> None:
    generator = np.random.default_rng(0)
    day = np.repeat(np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]"), 49)
    mean, low, high = bootstrap_mean(generator.normal(0.001, 0.3, len(day)), day, 1)
    assert low < 0 < high
    assert low < mean < high
    assert bootstrap_mean(generator.normal(0.02, 0.1, len(day)), day, 1)[1] > 0


def test_stations_of_one_day_count_as_one_draw() -> None:
    """Forty-nine copies of a day are no more evidence than one."""
    generator = np.random.default_rng(0)
    days = np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]")
    value = generator.normal(0.01, 0.05, len(days))
    one = bootstrap_mean(value, days, 1)
    assert bootstrap_mean(np.repeat(value, 49), np.repeat(days, 49), 1) == pytest.approx(one)


def test_each_is_scored_with_the_climate_it_learnt_with(good: Model, dataset: Dataset) -> None:
    dry = Climate(good.climate.usual, np.zeros_like(good.climate.rain))
    champion = Model({**good.files, CLIMATE: dry.text().encode()}, good.card)
    matrix = features.with_climate(dataset.test.matrix, dataset.test.observations, dry)
    expected = float(np.mean((good.probability(matrix) - dataset.test.label) ** 2))
    verdict = judge(good, champion, dataset.test, 0.5, 1)
    assert verdict.champion is not None
    assert verdict.champion["brier"] == pytest.approx(expected)
    assert verdict.champion["brier"] != pytest.approx(verdict.challenger["brier"], abs=1e-9)
