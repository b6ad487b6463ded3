import numpy as np
import pytest

from meteo.scores import calibration_error
from train.evaluate import best_threshold, decomposition, intervals, metrics, reliability


def test_scores_are_those_of_their_definitions() -> None:
    outcome, probability = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.4, 0.9])
    found = metrics(outcome, probability)
    assert found["roc_auc"] == 0.75
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.4, 0.9]).mean())
    assert (found["n"], found["base_rate"]) == (4, 0.5)


def test_a_forecast_that_says_what_happens_has_no_calibration_error() -> None:
    probability = np.repeat([0.2, 0.8], 10)
    outcome = np.concatenate([[1, 1], np.zeros(8), np.ones(8), [0, 0]])
    assert calibration_error(outcome, probability) == pytest.approx(0)
    assert calibration_error(outcome, np.full(20, 0.95)) == pytest.approx(0.45)


def test_reliability_bins_have_edges_at_tenths_and_one_belongs_to_the_last() -> None:
    rows = reliability(np.array([0.0, 1.0, 1.0]), np.array([0.05, 0.95, 1.0]))
    assert [(row["n"], row["observed"]) for row in rows] == [(1, 0), (2, 1)]


def test_the_threshold_has_the_best_threat_score() -> None:
    generator = np.random.default_rng(0)
    probability = generator.uniform(size=4000)
    outcome = (generator.uniform(size=4000) < probability).astype(float)
    chosen = best_threshold(outcome, probability)

    def threat(threshold: float) -> float:
        said, rained = probability >= threshold, outcome == 1
        return float((said & rained).sum() / (said | rained).sum())

    assert all(threat(chosen) >= threat(other) for other in np.arange(0.05, 0.96, 0.05))


def test_the_parts_of_the_brier_score_add_up() -> None:
    """Forecasts that stand in the middle of their bins vary within none."""
    generator = np.random.default_rng(3)
    probability = generator.choice([0.05, 0.35, 0.75], 5000)
    outcome = (generator.uniform(size=5000) < probability + 0.1).astype(float)
    parts = decomposition(outcome, probability)
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
        low, high = intervals(outcome, probability, day, 1)["brier"]
        assert low < np.mean((probability - outcome) ** 2) < high
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]
    assert intervals(apart, probability, day, 1) == intervals(apart, probability, day, 1)
