"""How good a set of probability forecasts is."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from meteo import scores
from meteo.observation import Floats
from meteo.scores import calibration_error


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
    return [row._asdict() for row in scores.reliability(outcome, probability)]


def decomposition(outcome: Floats, probability: Floats) -> dict[str, float]:
    """Murphy's (1973) parts of the Brier score over the bins: reliability - resolution + uncertainty is the Brier score
    up to what varies within a bin."""
    rate = float(outcome.mean())
    rows = reliability(outcome, probability)
    share = [row["n"] / len(outcome) for row in rows]
    return {
        "reliability": sum(w * (row["forecast"] - row["observed"]) ** 2 for w, row in zip(share, rows, strict=True)),
        "resolution": sum(w * (row["observed"] - rate) ** 2 for w, row in zip(share, rows, strict=True)),
        "uncertainty": rate * (1 - rate),
    }


def intervals(
    outcome: Floats, probability: Floats, day: NDArray[np.datetime64], seed: int, resamples: int = 200
) -> dict[str, tuple[float, float]]:
    """90 % bootstrap intervals of AUC and Brier score; whole days are drawn, since one day's stations are alike."""
    _, group = np.unique(day, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2))
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = generator.integers(0, len(starts) - 1, len(starts) - 1)
        rows = np.concatenate([order[starts[each] : starts[each + 1]] for each in drawn])
        found.append(
            (roc_auc_score(outcome[rows], probability[rows]), brier_score_loss(outcome[rows], probability[rows]))
        )
    low, high = np.quantile(found, [0.05, 0.95], axis=0)
    return {name: (float(low[index]), float(high[index])) for index, name in enumerate(("auc", "brier"))}


def best_threshold(outcome: Floats, probability: Floats) -> float:
    """The probability from which on saying "rain" has the best threat score (critical success index), to 1 %.

    Threat score: hits / (hits + misses + false alarms).
    """
    candidates = np.arange(0.05, 0.96, 0.01).round(2)
    found = [_threat_score(outcome, probability >= threshold) for threshold in candidates]
    return float(candidates[int(np.argmax(found))])


def _threat_score(outcome: Floats, said: NDArray[np.bool_]) -> float:
    rained = outcome == 1
    events = (rained | said).sum()
    return float((rained & said).sum() / events) if events else 0.0
