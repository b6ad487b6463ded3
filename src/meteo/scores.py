"""How good a set of probability forecasts is: the scores that training, monitoring and the API share."""

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


def brier(outcome: Floats, probability: Floats) -> float:
    """The mean squared difference of what was said and what happened (Brier 1950)."""
    return float(np.mean((probability - outcome) ** 2))


def log_loss(outcome: Floats, probability: Floats) -> float:
    """The mean surprise, in nats; a chance of 0 or 1 counts as 1e-15 away from it."""
    sure = np.clip(probability, 1e-15, 1 - 1e-15)
    return float(-np.mean(outcome * np.log(sure) + (1 - outcome) * np.log(1 - sure)))


def roc_auc(outcome: Floats, probability: Floats) -> float | None:
    """How often a wet day was given the higher chance than a dry one, ties counting half; None without both."""
    wet = int(outcome.sum())
    dry = len(outcome) - wet
    if not wet or not dry:
        return None
    _, group, count = np.unique(probability, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[group]
    return float((rank[outcome == 1].sum() - wet * (wet + 1) / 2) / (wet * dry))


def bins(probability: Floats) -> NDArray[np.intp]:
    """The bin of each forecast: ten of equal width."""
    found: NDArray[np.intp] = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    return found


def reliability(outcome: Floats, probability: Floats) -> list[Bin]:
    """The bins that are not empty."""
    place = bins(probability)
    chosen = [place == index for index in range(BINS)]
    return [
        Bin(int(inside.sum()), float(probability[inside].mean()), float(outcome[inside].mean()))
        for inside in chosen if inside.any()
    ]  # fmt: skip


def calibration_error(outcome: Floats, probability: Floats) -> float:
    """Expected calibration error: the mean gap between forecast and frequency over the bins, weighted by n."""
    return sum(row.n * abs(row.forecast - row.observed) for row in reliability(outcome, probability)) / len(outcome)


def bootstrap_mean(
    value: Floats, day: NDArray[np.datetime64], seed: int, tail: float = 0.05
) -> tuple[float, float, float]:
    """The mean of `value` (n,) with the bounds that leave `tail` (5 %) on each side, resampling whole days: one day's
    stations are alike."""
    _, group = np.unique(day, return_inverse=True)
    total, count = np.bincount(group, value), np.bincount(group)
    drawn = np.random.default_rng(seed).integers(0, len(total), (RESAMPLES, len(total)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(value.mean()), float(low), float(high)
