"""Whether the challenger may serve: judged with the champion on the same days."""

from dataclasses import dataclass, field

import numpy as np

from meteo import features
from meteo.errors import Conflict
from meteo.model import Model
from meteo.observation import Floats
from meteo.scores import bootstrap_mean
from train.behaviour import behaviour, objections
from train.dataset import Part
from train.evaluate import metrics

_SURE = 0.05


MUCH_WORSE = 0.01
"""A station's Brier score may be this much worse before it speaks against a challenger, if it surely is worse."""
_FEWEST_DAYS = 60


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with the numbers it was made on; `champion` is None where there was none.

    `brier_difference` is challenger minus champion: the mean and the bounds of its 90 % bootstrap interval. `behaviour`
    is what `train.behaviour` found of the challenger, `worse_stations` the difference where it is much worse.
    """

    promote: bool
    reasons: tuple[str, ...]
    challenger: dict[str, float]
    behaviour: dict[str, dict[str, float]]
    champion: dict[str, float] | None = None
    brier_difference: tuple[float, float, float] | None = None
    worse_stations: dict[str, float] = field(default_factory=dict)


def judge(challenger: Model, champion: Model | None, test: Part, ece_limit: float, seed: int) -> Verdict:
    """Score both on `test`. The challenger is refused when its Brier score is worse beyond what chance explains, when a
    station gets much worse, when it is not calibrated, or when it does not answer to the weather.

    Conflict when the challenger learnt from days that `test` holds: its score there would mean nothing.
    """
    held_out_from = challenger.card.split["test_start"]
    if test.observations.day.min().item() < held_out_from:
        raise Conflict(f"the challenger was trained on days before {held_out_from}, which the holdout now contains")
    probability = _probability(challenger, test)
    scores = metrics(test.label, probability)
    behaved = behaviour(challenger, test, seed)
    reasons = objections(behaved)
    if scores["ece"] > ece_limit:
        reasons.append(f"its calibration error {scores['ece']:.4f} is above {ece_limit:.4f}")
    if champion is None:
        return Verdict(not reasons, tuple(reasons), scores, behaved)
    serving = _probability(champion, test)
    best = metrics(test.label, serving)
    difference = (probability - test.label) ** 2 - (serving - test.label) ** 2
    interval = bootstrap_mean(difference, test.observations.day, seed)
    if interval[1] > 0:
        reasons.append(f"its Brier score {scores['brier']:.4f} is worse than the champion's {best['brier']:.4f}")
    worse = worse_stations(difference, test, seed)
    reasons += [f"at {station} its Brier score is worse by {loss:.3f}" for station, loss in worse.items()]
    return Verdict(not reasons, tuple(reasons), scores, behaved, best, interval, worse)


def worse_stations(difference: Floats, test: Part, seed: int) -> dict[str, float]:
    """The stations whose Brier score is worse by more than MUCH_WORSE, surely so even though many were looked at."""
    stations = np.unique(test.observations.station).tolist()
    sure = _SURE / len(stations)
    found = {}
    for station in stations:
        here = test.observations.station == station
        if here.sum() >= _FEWEST_DAYS and difference[here].mean() > MUCH_WORSE:
            mean, low, _ = bootstrap_mean(difference[here], test.observations.day[here], seed, sure)
            if low > 0:
                found[station] = mean
    return found


def _probability(model: Model, test: Part) -> Floats:
    return model.probability(features.with_climate(test.matrix, test.observations, model.climate))
