"""Whether the challenger may serve: it must not be surely worse than the champion on the same days."""

from dataclasses import dataclass

import numpy as np

from meteo import features
from meteo.errors import Conflict
from meteo.model import Model
from meteo.observation import Floats
from train.dataset import Part
from train.evaluate import metrics

RESAMPLES = 1000
_SURE = 0.05


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with the numbers it was made on; `champion` is None where there was none.

    `brier_difference` is challenger minus champion: the mean and the bounds of its 90 % bootstrap interval.
    """

    promote: bool
    reasons: tuple[str, ...]
    challenger: dict[str, float]
    champion: dict[str, float] | None = None
    brier_difference: tuple[float, float, float] | None = None


def judge(challenger: Model, champion: Model | None, test: Part, ece_limit: float, seed: int) -> Verdict:
    """Score both on `test`; the challenger is refused when its Brier score is worse beyond what chance explains.

    Conflict when the challenger learnt from days that `test` holds: its score there would mean nothing.
    """
    held_out_from = challenger.card.split["test_start"]
    if test.observations.day.min().item() < held_out_from:
        raise Conflict(f"the challenger was trained on days before {held_out_from}, which the holdout now contains")
    probability = _probability(challenger, test)
    scores = metrics(test.label, probability)
    reasons = []
    if scores["ece"] > ece_limit:
        reasons.append(f"its calibration error {scores['ece']:.4f} is above {ece_limit:.4f}")
    if champion is None:
        return Verdict(not reasons, tuple(reasons), scores)
    serving = _probability(champion, test)
    best = metrics(test.label, serving)
    difference = (probability - test.label) ** 2 - (serving - test.label) ** 2
    interval = bootstrap_mean(difference, test.observations.day, seed)
    if interval[1] > 0:
        reasons.append(f"its Brier score {scores['brier']:.4f} is worse than the champion's {best['brier']:.4f}")
    return Verdict(not reasons, tuple(reasons), scores, best, interval)


def _probability(model: Model, test: Part) -> Floats:
    return model.probability(features.with_climate(test.matrix, test.observations, model.climate))


def bootstrap_mean(value: Floats, day: np.ndarray, seed: int) -> tuple[float, float, float]:
    """The mean of `value` (n,) with its 5 % and 95 % bounds, resampling whole days: one day's stations are alike."""
    _, group = np.unique(day, return_inverse=True)
    total, count = np.bincount(group, value), np.bincount(group)
    drawn = np.random.default_rng(seed).integers(0, len(total), (RESAMPLES, len(total)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [_SURE, 1 - _SURE])
    return float(value.mean()), float(low), float(high)
