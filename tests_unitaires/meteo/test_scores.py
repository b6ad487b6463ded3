import numpy as np
import pytest
from sklearn import metrics

from meteo import scores


@pytest.fixture(params=[0, 1, 2])
def said(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and chances, the more often equal the lower the number."""
    dice = np.random.default_rng(request.param)
    probability = dice.uniform(size=500).round(request.param + 1)
    return (dice.uniform(size=500) < probability).astype(float), probability


def test_they_are_those_of_scikit_learn(said: tuple[np.ndarray, np.ndarray]) -> None:
    outcome, probability = said
    assert scores.brier(outcome, probability) == pytest.approx(metrics.brier_score_loss(outcome, probability))
    assert scores.roc_auc(outcome, probability) == pytest.approx(metrics.roc_auc_score(outcome, probability))
    inside = np.clip(probability, 1e-6, 1 - 1e-6)
    assert scores.log_loss(outcome, inside) == pytest.approx(metrics.log_loss(outcome, inside))


def test_certainty_that_is_wrong_is_costly_but_finite() -> None:
    assert 30 < scores.log_loss(np.array([1.0]), np.array([0.0])) < 40


def test_one_kind_of_day_has_no_auc() -> None:
    assert scores.roc_auc(np.ones(3), np.array([0.1, 0.2, 0.3])) is None


def test_bins_hold_all_forecasts_and_their_means(said: tuple[np.ndarray, np.ndarray]) -> None:
    outcome, probability = said
    found = scores.reliability(outcome, probability)
    assert sum(row.n for row in found) == len(outcome)
    assert sum(row.n * row.observed for row in found) == pytest.approx(outcome.sum())
    assert sum(row.n * row.forecast for row in found) == pytest.approx(probability.sum())
    assert scores.reliability(np.array([1.0]), np.array([1.0])) == [scores.Bin(1, 1.0, 1.0)], "1.0 is in the last bin"
