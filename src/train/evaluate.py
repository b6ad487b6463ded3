"""How good a set of probability forecasts is."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from meteo.observation import Floats

BINS = 10


def metrics(outcome: Floats, probability: Floats) -> dict[str, float]:
    """Scores of `probability` (n,) against what happened (n,), 0 or 1; both classes must occur."""
    return {
        "roc_auc": float(roc_auc_score(outcome, probability)),
        "pr_auc": float(average_precision_score(outcome, probability)),
        "brier": float(brier_score_loss(outcome, probability)),
        "log_loss": float(log_loss(outcome, probability)),
        "ece": calibration_error(outcome, probability),
        "n": float(len(outcome)),
        "base_rate": float(outcome.mean()),
    }


def reliability(outcome: Floats, probability: Floats) -> list[dict[str, float]]:
    """Mean forecast and observed frequency in ten equal-width bins of probability; empty bins are left out."""
    place = _bins(probability)
    rows = []
    for index in range(BINS):
        inside = place == index
        if inside.any():
            rows.append(
                {
                    "n": float(inside.sum()),
                    "forecast": float(probability[inside].mean()),
                    "observed": float(outcome[inside].mean()),
                }
            )
    return rows


def calibration_error(outcome: Floats, probability: Floats) -> float:
    """Expected calibration error: the mean gap between forecast and frequency over the bins, weighted by n."""
    return sum(row["n"] * abs(row["forecast"] - row["observed"]) for row in reliability(outcome, probability)) / len(
        outcome
    )


def best_threshold(outcome: Floats, probability: Floats) -> float:
    """The probability from which on saying "rain" has the best threat score (critical success index), to 1 %.

    Threat score: hits / (hits + misses + false alarms).
    """
    candidates = np.arange(0.05, 0.96, 0.01).round(2)
    scores = [_threat_score(outcome, probability >= threshold) for threshold in candidates]
    return float(candidates[int(np.argmax(scores))])


def _threat_score(outcome: Floats, said: NDArray[np.bool_]) -> float:
    rained = outcome == 1
    events = (rained | said).sum()
    return float((rained & said).sum() / events) if events else 0.0


def _bins(probability: Floats) -> NDArray[np.intp]:
    place: NDArray[np.intp] = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    return place
