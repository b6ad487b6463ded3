"""Whether the challenger may serve: judged with the champion on the same days."""

from dataclasses import dataclass, field, replace

import numpy as np

from meteo.errors import Conflict
from meteo.features.matrix import with_climate
from meteo.forecasts.verification import bootstrap_mean, scores
from meteo.models.bundle import Model
from meteo.observation import Floats
from train.behaviour import behaviour, objections
from train.dataset import Part

_SURE = 0.05
_STATION_MARGINS = 20
"""A single station's Brier score may be worse by so many margins before it speaks against a challenger that surely is
worse there: .01 with the margin of .0005."""
_FEWEST_DAYS = 60


@dataclass(frozen=True)
class Limits:
    """`ece`: the most calibration error that may serve. `margin`: how much higher a Brier score still is "no worse"."""

    ece: float
    margin: float


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with the numbers it was made on; `champion` and `best` are None where there was none to
    compare with, and `notes` say why where that should not be.

    The differences are challenger minus the other's Brier score on the same days: the mean and the bounds of its 90 %
    bootstrap interval. `behaviour` is what `train.behaviour` found of the challenger, `worse_stations` the difference
    where it is much worse.
    """

    promote: bool
    reasons: tuple[str, ...]
    challenger: dict[str, float]
    behaviour: dict[str, dict[str, float]]
    limits: Limits
    days: int
    champion: dict[str, float] | None = None
    brier_difference: tuple[float, float, float] | None = None
    worse_stations: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] | None = None
    best_difference: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_best(self) -> bool:
        """Whether the challenger takes the place of the best champion there was."""
        return self.best_difference is None or self.best_difference[0] <= 0


def judge(
    challenger: Model, champion: Model | None, test: Part, limits: Limits, seed: int, best: Model | None = None
) -> Verdict:
    """Score all on `test`. The challenger is refused unless it surely is no worse than the champion, that is unless the
    90 % interval of the difference of their Brier scores ends below the margin (a challenger that surely is better is
    so all the more); when its score is above that of the `best` champion there ever was by the margin, so that many
    small losses never add up; when a station gets much worse, when it is not calibrated, or when it does not answer to
    the weather.

    Conflict when the challenger learnt from days that `test` holds: its score there would mean nothing.
    """
    first = test.observations.day.min().item()
    held_out_from = challenger.card.split["test_start"]
    if first < held_out_from:
        raise Conflict(f"the challenger was trained on days before {held_out_from}, which the holdout now contains")
    behaved = behaviour(challenger, test, seed)
    reasons = objections(behaved)
    ours = _Scored.of(challenger, test)
    if ours.scores["ece"] > limits.ece:
        reasons.append(f"its calibration error {ours.scores['ece']:.4f} is above {limits.ece:.4f}")
    verdict = Verdict(False, (), ours.scores, behaved, limits, len(np.unique(test.observations.day)))
    if champion is not None:
        theirs = _Scored.of(champion, test)
        difference = ours.error - theirs.error
        verdict = replace(
            verdict,
            champion=theirs.scores,
            worse_stations=worse_stations(difference, test, limits.margin, seed),
            brier_difference=bootstrap_mean(difference, test.observations.day, seed),
        )
        reasons += inferior(verdict)
        reasons += [
            f"at {name} its Brier score is worse by {loss:.3f}" for name, loss in verdict.worse_stations.items()
        ]
    if best is not None and first < best.card.split["test_start"]:
        note = f"the best champion, version {best.version}, learnt from days of this holdout: it was not compared with"
        verdict = replace(verdict, notes=(note,))
    elif best is not None:
        record = _Scored.of(best, test)
        interval = bootstrap_mean(ours.error - record.error, test.observations.day, seed)
        verdict = replace(verdict, best=record.scores, best_difference=interval)
        if interval[0] >= limits.margin:
            reasons.append(
                f"its Brier score {ours.scores['brier']:.4f} is worse than the {record.scores['brier']:.4f} of version "
                f"{best.version}, the best champion there was, by more than {limits.margin:.4f}"
            )
    return replace(verdict, promote=not reasons, reasons=tuple(reasons))


def inferior(verdict: Verdict) -> list[str]:
    """Why the challenger may not be called no worse than the champion; nothing where it may."""
    if verdict.champion is None or verdict.brier_difference is None:
        return []
    mean, low, high = verdict.brier_difference
    ours, theirs, margin = verdict.challenger["brier"], verdict.champion["brier"], verdict.limits.margin
    if high < margin:
        return []
    if low > 0:
        return [f"its Brier score {ours:.4f} is worse than the champion's {theirs:.4f}"]
    reason = (
        f"it may be worse than the champion: its Brier score {ours:.4f} against {theirs:.4f} may be higher by "
        f"{high:.4f}, and {margin:.4f} is the most"
    )
    return [reason if mean >= margin else f"{reason}; {verdict.days} days are not enough to tell"]


def worse_stations(difference: Floats, test: Part, margin: float, seed: int) -> dict[str, float]:
    """The stations whose Brier score is worse by more than twenty margins, surely so although many were looked at."""
    stations = np.unique(test.observations.station).tolist()
    sure = _SURE / len(stations)
    worse = {}
    for station in stations:
        here = test.observations.station == station
        if here.sum() >= _FEWEST_DAYS and difference[here].mean() > _STATION_MARGINS * margin:
            mean, low, _ = bootstrap_mean(difference[here], test.observations.day[here], seed, sure)
            if low > 0:
                worse[station] = mean
    return worse


@dataclass(frozen=True)
class _Scored:
    """A model's scores on the holdout, and its squared error on each row, (n,)."""

    scores: dict[str, float]
    error: Floats

    @classmethod
    def of(cls, model: Model, test: Part) -> "_Scored":
        rows = test.observations
        probability = model.probability(with_climate(test.matrix, rows, model.climate))
        usual = model.climate.rates(rows.station, rows.day)
        return cls(scores(test.label, probability, usual), (probability - test.label) ** 2)
