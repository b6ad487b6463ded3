from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from meteo.errors import Conflict
from meteo.features.climatology import Climate
from meteo.features.matrix import with_climate
from meteo.forecasts.verification import bootstrap_mean
from meteo.models.bundle import Model
from meteo.models.card import CLIMATE
from meteo.observation import FIELDS, Observations
from train.dataset import Dataset, Part
from train.fit import Recipe, fit
from train.promotion_gate import Limits, Verdict, inferior, judge, worse_stations

LOOSE = Limits(ece=0.5, margin=0.0005)


@pytest.fixture(scope="module")
def good(dataset: Dataset, recipe: Recipe) -> Model:
    return fit(dataset, recipe, "", "", lambda _: None)


@pytest.fixture(scope="module")
def bad(dataset: Dataset, recipe: Recipe) -> Model:
    """Trained on shuffled labels."""
    shuffled = np.random.default_rng(0).permutation(dataset.train.label)
    return fit(replace(dataset, train=replace(dataset.train, label=shuffled)), recipe, "", "", lambda _: None)


def test_a_challenger_as_good_as_the_champion_is_promoted(good: Model, dataset: Dataset) -> None:
    verdict = judge(good, good, dataset.test, LOOSE, 1)
    assert verdict.promote
    assert verdict.challenger == verdict.champion
    assert verdict.brier_difference == (0, 0, 0)


def test_a_challenger_that_learnt_nothing_is_refused_with_the_numbers(
    good: Model, bad: Model, dataset: Dataset
) -> None:
    verdict = judge(bad, good, dataset.test, LOOSE, 1)
    assert not verdict.promote
    assert verdict.champion is not None
    ours, theirs = verdict.challenger["brier"], verdict.champion["brier"]
    assert f"its Brier score {ours:.4f} is worse than the champion's {theirs:.4f}" in verdict.reasons
    assert any(reason.startswith("at Perth its Brier score is worse by") for reason in verdict.reasons)
    assert judge(good, bad, dataset.test, LOOSE, 1).promote


def test_a_first_model_must_still_be_calibrated(good: Model, dataset: Dataset) -> None:
    assert judge(good, None, dataset.test, LOOSE, 1).promote
    refused = judge(good, None, dataset.test, replace(LOOSE, ece=0.0001), 1)
    assert not refused.promote
    assert "calibration error" in refused.reasons[0]


def test_a_challenger_is_not_judged_on_days_it_learnt_from(good: Model, dataset: Dataset) -> None:
    later = Model(good.files, good.card.model_copy(update={"split": {"test_start": date(2030, 1, 1)}}))
    with pytest.raises(Conflict, match="trained on days before 2030-01-01"):
        judge(later, None, dataset.test, LOOSE, 1)


def test_one_station_that_gets_much_worse_speaks_against_a_challenger(dataset: Dataset) -> None:
    test = dataset.test
    here = test.observations.station == "Perth"
    generator = np.random.default_rng(0)
    difference = np.where(here, generator.normal(0.03, 0.02, len(test)), generator.normal(-0.03, 0.02, len(test)))
    assert list(worse_stations(difference, test, 0.0005, 1)) == ["Perth"]
    assert worse_stations(difference, test, 0.0005, 1)["Perth"] == pytest.approx(difference[here].mean())
    assert worse_stations(np.where(here, 0.009, 0), test, 0.0005, 1) == {}
    assert worse_stations(difference, test, 0.002, 1) == {}, "who takes a wider margin takes it at stations too"
    assert worse_stations(np.where(here, generator.normal(0.02, 1, len(test)), 0), test, 0.0005, 1) == {}


def test_a_station_must_surely_be_worse_although_many_were_looked_at(dataset: Dataset) -> None:
    """Of a hundred stations whose score is worse by chance alone, with 5 % each, five would seem to be."""
    generator = np.random.default_rng(1)
    day = np.tile(np.datetime64("2024-01-01") + np.arange(90), 100)
    station = np.repeat([f"station {number}" for number in range(100)], 90)
    rows = Observations(station, day, np.full((9000, len(FIELDS)), np.nan))
    difference = generator.normal(0, 0.1, 9000)
    surely = [bootstrap_mean(difference[station == name], day[station == name], 1, 0.05)[1] > 0
              for name in np.unique(station)]  # fmt: skip
    assert sum(surely) > 2
    assert worse_stations(difference, Part(rows, np.empty((9000, 0), np.float32), np.zeros(9000)), 0.0005, 1) == {}


def verdict(mean: float, low: float, high: float, margin: float = 0.0005) -> Verdict:
    """Of a challenger whose Brier score is .0990 + the mean difference."""
    ours = {"brier": 0.0990 + mean}
    return Verdict(False, (), ours, {}, Limits(0.03, margin), 64, {"brier": 0.0990}, (mean, low, high))


def test_a_challenger_that_may_be_worse_does_not_serve_although_chance_could_explain_it() -> None:
    """Brier score .1016 against .0990, the interval of the difference touching zero."""
    (reason,) = inferior(verdict(0.0026, -0.0001, 0.0053))
    assert "may be worse than the champion: its Brier score 0.1016 against 0.0990" in reason
    assert "not enough" not in reason, "more days would hardly help it"


@pytest.mark.parametrize(
    ("interval", "promoted"),
    [((0, 0, 0), True), ((0.0001, -0.0002, 0.0004), True), ((0.0001, -0.0002, 0.0005), False),
     ((0.0003, 0.0001, 0.0004), True), ((-0.002, -0.004, -0.0001), True), ((-0.001, -0.004, 0.002), False),
     ((0.003, 0.001, 0.005), False)],
)  # fmt: skip
def test_no_worse_means_that_the_interval_ends_below_the_margin(
    interval: tuple[float, float, float], promoted: bool
) -> None:
    assert (inferior(verdict(*interval)) == []) is promoted


def test_too_few_days_to_tell_are_said_to_be() -> None:
    (reason,) = inferior(verdict(-0.001, -0.004, 0.002))
    assert reason.endswith("64 days are not enough to tell")


def test_small_losses_do_not_add_up(good: Model, bad: Model, dataset: Dataset) -> None:
    """No worse than the champion, but than the best there was."""
    found = judge(bad, bad, dataset.test, LOOSE, 1, best=good)
    assert not found.promote
    assert not found.is_best
    assert any("the best champion there was" in reason for reason in found.reasons)
    assert judge(good, bad, dataset.test, LOOSE, 1, best=bad).is_best


def test_a_best_champion_that_learnt_from_the_holdout_is_not_compared_with_and_that_is_said(
    good: Model, dataset: Dataset
) -> None:
    later = Model(good.files, good.card.model_copy(update={"split": {"test_start": date(2030, 1, 1)}}), "7")
    found = judge(good, good, dataset.test, LOOSE, 1, best=later)
    assert found.promote
    assert found.best_difference is None
    assert "version 7, learnt from days of this holdout" in found.notes[0]


def test_a_difference_that_chance_explains_has_zero_in_its_interval() -> None:
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
    matrix = with_climate(dataset.test.matrix, dataset.test.observations, dry)
    expected = float(np.mean((good.probability(matrix) - dataset.test.label) ** 2))
    verdict = judge(good, champion, dataset.test, LOOSE, 1)
    assert verdict.champion is not None
    assert verdict.champion["brier"] == pytest.approx(expected)
    assert verdict.champion["brier"] != pytest.approx(verdict.challenger["brier"], abs=1e-9)
