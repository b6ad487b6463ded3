"""How good a set of probability forecasts is: every score, written once, for training, monitoring and the API alike.

`outcome` (n,) is 1.0 where it rained and 0.0 where it did not, `probability` (n,) what was said. Scores that take `n`
count each forecast so many times. The reference of every skill is the station-month climatology that a version learnt
with (`meteo.features.climatology.Climate.rates`): promised on the holdout, and measured live.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from meteo.observation import Floats

BINS = 10
RESAMPLES = 1000


class Bin(NamedTuple):
    """How many forecasts fell into a bin, what they said on average, and how often it then rained."""

    n: int
    forecast: float
    observed: float


def scores(outcome: Floats, probability: Floats, climatology: Floats) -> dict[str, float]:
    """Every score of `probability`, by name; `climatology` (n,) is the reference of its skill.

    ValueError unless there are wet and dry days.
    """
    area = roc_auc(outcome, probability)
    if area is None:
        raise ValueError("there must be wet and dry days to score forecasts on")
    return {
        "roc_auc": area,
        "pr_auc": average_precision(outcome, probability),
        "brier": brier(outcome, probability),
        "brier_skill": brier_skill(outcome, probability, climatology),
        "log_loss": log_loss(outcome, probability),
        "ece": calibration_error(outcome, probability),
        "n": float(len(outcome)),
        "base_rate": float(outcome.mean()),
    }


def brier(outcome: Floats, probability: Floats, n: Floats | None = None) -> float:
    """The mean squared difference of what was said and what happened (Brier 1950)."""
    return float(np.average((probability - outcome) ** 2, weights=n))


def brier_skill(outcome: Floats, probability: Floats, reference: Floats) -> float:
    """1 - Brier score / that of the `reference`: 1 is perfect, 0 no better."""
    return 1 - brier(outcome, probability) / brier(outcome, reference)


def log_loss(outcome: Floats, probability: Floats, n: Floats | None = None) -> float:
    """The mean surprise, in nats; a chance of 0 or 1 counts as 1e-15 away from it."""
    sure = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(-np.average(outcome * np.log(sure) + (1 - outcome) * np.log(1 - sure), weights=n))


def roc_auc(outcome: Floats, probability: Floats, n: Floats | None = None) -> float | None:
    """How often a wet day was given the higher chance than a dry one, ties counting half; None without both."""
    wet, dry = _by_probability(outcome, probability, n)
    pairs = wet.sum() * dry.sum()
    below = np.cumsum(dry) - dry / 2
    return float((wet * below).sum() / pairs) if pairs else None


def average_precision(outcome: Floats, probability: Floats) -> float:
    """The mean precision over the wet days, each taken at the threshold that just reaches it."""
    wet, dry = (counts[::-1] for counts in _by_probability(outcome, probability))
    hits = np.cumsum(wet)
    return float((wet * hits / (hits + np.cumsum(dry))).sum() / wet.sum())


def _by_probability(outcome: Floats, probability: Floats, n: Floats | None = None) -> tuple[Floats, Floats]:
    """How many wet and how many dry days were given each distinct probability, in rising order."""
    weight = np.ones(len(outcome)) if n is None else n
    values, group = np.unique(probability, return_inverse=True)
    wet, dry = (np.bincount(group, weight * of, len(values)).astype(float) for of in (outcome, 1 - outcome))
    return wet, dry


def reliability(outcome: Floats, probability: Floats, n: Floats | None = None) -> list[Bin]:
    """Mean forecast and observed frequency in the bins that are not empty."""
    weight = np.ones(len(outcome)) if n is None else n
    place = bins(probability)
    counts, said, happened = (
        np.bincount(place, weight * of, BINS) for of in (np.ones(len(outcome)), probability, outcome)
    )
    return [
        Bin(round(counts[row]), float(said[row] / counts[row]), float(happened[row] / counts[row]))
        for row in np.flatnonzero(counts)
    ]


def bins(probability: Floats) -> NDArray[np.intp]:
    """The bin of each forecast: ten of equal width."""
    return np.minimum((probability * BINS).astype(np.intp), BINS - 1)


def calibration_error(outcome: Floats, probability: Floats) -> float:
    """Expected calibration error: the mean gap between forecast and frequency over the bins, weighted by n."""
    return sum(row.n * abs(row.forecast - row.observed) for row in reliability(outcome, probability)) / len(outcome)


def decomposition(outcome: Floats, probability: Floats) -> dict[str, float]:
    """Murphy's (1973) parts of the Brier score over the bins: reliability - resolution + uncertainty is the Brier score
    up to what varies within a bin."""
    rate = float(outcome.mean())
    rows = reliability(outcome, probability)
    return {
        "reliability": sum(row.n * (row.forecast - row.observed) ** 2 for row in rows) / len(outcome),
        "resolution": sum(row.n * (row.observed - rate) ** 2 for row in rows) / len(outcome),
        "uncertainty": rate * (1 - rate),
    }


def at_threshold(outcome: Floats, probability: Floats, threshold: float) -> dict[str, float]:
    """How good saying "rain" from `threshold` on is: the share of days that were told right, of the days told wet that
    were (precision), of the wet days that were told (recall), and the harmonic mean of these two. Precision is 0 where
    nothing is told wet."""
    said, rained = probability >= threshold, outcome == 1
    hits = float((said & rained).sum())
    told, wet = max(int(said.sum()), 1), max(int(rained.sum()), 1)
    return {
        "accuracy": float((said == rained).mean()),
        "precision": hits / told,
        "recall": hits / wet,
        "f1": 2 * hits / (int(said.sum()) + int(rained.sum()) or 1),
    }


def best_threshold(outcome: Floats, probability: Floats) -> float:
    """The probability from which on saying "rain" has the best threat score, to 1 %."""
    candidates = np.arange(0.05, 0.96, 0.01).round(2)
    return float(candidates[int(np.argmax([threat_score(outcome, probability >= each) for each in candidates]))])


def threat_score(outcome: Floats, said: NDArray[np.bool_]) -> float:
    """Critical success index: hits / (hits + misses + false alarms)."""
    rained = outcome == 1
    events = (rained | said).sum()
    return float((rained & said).sum() / events) if events else 0.0


def bootstrap_mean(
    value: Floats, day: NDArray[np.datetime64], seed: int, tail: float = 0.05, n: Floats | None = None
) -> tuple[float, float, float]:
    """The mean of `value` (n,) with the bounds that leave `tail` (5 %) on each side, resampling whole days: one day's
    stations are alike. With `n` each value is a sum over so many."""
    _, group = np.unique(day, return_inverse=True)
    total, count = np.bincount(group, value), np.bincount(group, n)
    drawn = _resampled(len(total), seed, RESAMPLES)
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(total.sum() / count.sum()), float(low), float(high)


def intervals(
    outcome: Floats, probability: Floats, day: NDArray[np.datetime64], seed: int, resamples: int = 200
) -> dict[str, tuple[float, float]]:
    """90 % bootstrap intervals of AUC and Brier score, whole days resampled."""
    _, group = np.unique(day, return_inverse=True)
    days = int(group.max()) + 1
    times = [np.bincount(drawn, minlength=days)[group].astype(float) for drawn in _resampled(days, seed, resamples)]
    resampled = [(roc_auc(outcome, probability, n), brier(outcome, probability, n)) for n in times]
    low, high = np.quantile([(area, error) for area, error in resampled if area is not None], [0.05, 0.95], axis=0)
    return {name: (float(low[index]), float(high[index])) for index, name in enumerate(("auc", "brier"))}


def _resampled(days: int, seed: int, resamples: int) -> NDArray[np.int64]:
    """Which days each resample draws, (resamples, days)."""
    return np.random.default_rng(seed).integers(0, days, (resamples, days))
