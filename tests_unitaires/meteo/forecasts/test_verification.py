"""Every score beside scikit-learn's, or beside its definition where that has none."""

import numpy as np
import pytest
from sklearn import metrics

from meteo.forecasts import verification
from meteo.observation import Floats


@pytest.fixture(params=[0, 1, 2])
def said(request: pytest.FixtureRequest) -> tuple[Floats, Floats]:
    """Outcomes and chances, the more often equal the lower the number."""
    dice = np.random.default_rng(request.param)
    probability = dice.uniform(size=500).round(request.param + 1)
    return (dice.uniform(size=500) < probability).astype(float), probability


def test_they_are_those_of_scikit_learn(said: tuple[Floats, Floats]) -> None:
    outcome, probability = said
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    reference = np.full(500, 0.5)
    found = verification.scores(outcome, inside, reference)
    assert found == pytest.approx({
        "roc_auc": metrics.roc_auc_score(outcome, inside),
        "pr_auc": metrics.average_precision_score(outcome, inside),
        "brier": metrics.brier_score_loss(outcome, inside),
        "brier_skill": 1 - metrics.brier_score_loss(outcome, inside) / 0.25,
        "log_loss": metrics.log_loss(outcome, inside),
        "ece": verification.calibration_error(outcome, inside),
        "n": 500,
        "base_rate": outcome.mean(),
    })  # fmt: skip


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.1])
def test_yes_and_no_are_judged_as_by_scikit_learn(said: tuple[Floats, Floats], threshold: float) -> None:
    outcome, probability = said
    told = probability >= threshold
    assert verification.at_threshold(outcome, probability, threshold) == pytest.approx({
        "accuracy": metrics.accuracy_score(outcome, told),
        "precision": metrics.precision_score(outcome, told, zero_division=0),
        "recall": metrics.recall_score(outcome, told),
        "f1": metrics.f1_score(outcome, told, zero_division=0),
    })  # fmt: skip


def test_a_forecast_counted_so_many_times_is_that_many_forecasts(said: tuple[Floats, Floats]) -> None:
    outcome, probability = said
    n = np.random.default_rng(0).integers(0, 4, 500).astype(float)
    repeated = [np.repeat(each, n.astype(int)) for each in said]
    for score in (verification.brier, verification.log_loss, verification.roc_auc):
        assert score(outcome, probability, n) == pytest.approx(score(*repeated))
    counted = verification.reliability(outcome, probability, n)
    assert np.array(counted) == pytest.approx(np.array(verification.reliability(*repeated)))


def test_the_mean_of_sums_over_many_is_that_of_all_of_them() -> None:
    dice = np.random.default_rng(0)
    day = np.datetime64("2024-01-01") + np.arange(90) // 3
    value, n = dice.normal(size=90), np.tile([1.0, 2.0, 3.0], 30)
    every, days = np.repeat(value, n.astype(int)), np.repeat(day, n.astype(int))
    found = verification.bootstrap_mean(value * n, day, 1, n=n)
    assert found == pytest.approx(verification.bootstrap_mean(every, days, 1))


def test_certainty_that_is_wrong_is_costly_but_finite() -> None:
    assert 30 < verification.log_loss(np.array([1.0]), np.array([0.0])) < 40


def test_one_kind_of_day_has_no_auc() -> None:
    dry, chances = np.ones(3), np.array([0.1, 0.2, 0.3])
    assert verification.roc_auc(dry, chances) is None
    with pytest.raises(ValueError, match="wet and dry days"):
        verification.scores(dry, chances, chances)


def test_bins_hold_all_forecasts_and_their_means(said: tuple[Floats, Floats]) -> None:
    outcome, probability = said
    found = verification.reliability(outcome, probability)
    assert sum(row.n for row in found) == len(outcome)
    assert sum(row.n * row.observed for row in found) == pytest.approx(outcome.sum())
    assert sum(row.n * row.forecast for row in found) == pytest.approx(probability.sum())


def test_reliability_bins_have_edges_at_tenths_and_one_belongs_to_the_last() -> None:
    rows = verification.reliability(np.array([0.0, 1.0, 1.0]), np.array([0.05, 0.95, 1.0]))
    assert [(row.n, row.observed) for row in rows] == [(1, 0), (2, 1)]


def test_a_forecast_that_says_what_happens_has_no_calibration_error() -> None:
    probability = np.repeat([0.2, 0.8], 10)
    outcome = np.concatenate([[1, 1], np.zeros(8), np.ones(8), [0, 0]])
    assert verification.calibration_error(outcome, probability) == pytest.approx(0)
    assert verification.calibration_error(outcome, np.full(20, 0.95)) == pytest.approx(0.45)


def test_skill_is_nought_for_the_reference_itself_and_one_for_certainty() -> None:
    outcome, usual = np.array([0.0, 0.0, 1.0]), np.full(3, 0.3)
    assert verification.brier_skill(outcome, usual, usual) == 0
    assert verification.brier_skill(outcome, outcome, usual) == 1


def test_the_threshold_has_the_best_threat_score() -> None:
    generator = np.random.default_rng(0)
    probability = generator.uniform(size=4000)
    outcome = (generator.uniform(size=4000) < probability).astype(float)
    chosen = verification.best_threshold(outcome, probability)

    def threat(threshold: float) -> float:
        said, rained = probability >= threshold, outcome == 1
        return float((said & rained).sum() / (said | rained).sum())

    assert all(threat(chosen) >= threat(other) for other in np.arange(0.05, 0.96, 0.05))


def test_the_parts_of_the_brier_score_add_up() -> None:
    """Forecasts that stand in the middle of their bins vary within none."""
    generator = np.random.default_rng(3)
    probability = generator.choice([0.05, 0.35, 0.75], 5000)
    outcome = (generator.uniform(size=5000) < probability + 0.1).astype(float)
    parts = verification.decomposition(outcome, probability)
    brier = float(np.mean((probability - outcome) ** 2))
    assert parts["reliability"] - parts["resolution"] + parts["uncertainty"] == pytest.approx(brier)
    assert parts["reliability"] == pytest.approx(0.01, abs=0.004)


def test_intervals_hold_the_score_and_are_wider_when_days_are_alike() -> None:
    generator = np.random.default_rng(5)
    day = np.repeat(np.datetime64("2024-01-01") + np.arange(100), 20)
    probability = generator.uniform(size=2000)
    apart = (generator.uniform(size=2000) < probability).astype(float)
    alike = (np.repeat(generator.uniform(size=100), 20) < probability).astype(float)
    widths = []
    for outcome in (apart, alike):
        low, high = verification.intervals(outcome, probability, day, 1)["brier"]
        assert low < np.mean((probability - outcome) ** 2) < high
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]
    assert verification.intervals(apart, probability, day, 1) == verification.intervals(apart, probability, day, 1)
