"""Whether the challenger may serve: it must not be worse than the champion on the same days."""

from dataclasses import dataclass

from meteo.errors import Conflict
from meteo.model import Model
from train.dataset import Part
from train.evaluate import metrics


@dataclass(frozen=True)
class Verdict:
    """The gate's decision with the numbers it was made on; `champion` is None where there was none."""

    promote: bool
    reasons: tuple[str, ...]
    challenger: dict[str, float]
    champion: dict[str, float] | None


def judge(challenger: Model, champion: Model | None, test: Part, brier_margin: float, ece_limit: float) -> Verdict:
    """Score both on `test`.

    Conflict when the challenger learnt from days that `test` holds: its score there would mean nothing.
    """
    held_out_from = challenger.card.split["test_start"]
    if test.observations.day.min().item() < held_out_from:
        raise Conflict(f"the challenger was trained on days before {held_out_from}, which the holdout now contains")
    scores = metrics(test.label, challenger.probability(test.matrix))
    reasons = []
    if scores["ece"] > ece_limit:
        reasons.append(f"its calibration error {scores['ece']:.4f} is above {ece_limit:.4f}")
    best = None
    if champion is not None:
        best = metrics(test.label, champion.probability(test.matrix))
        if scores["brier"] > best["brier"] + brier_margin:
            reasons.append(f"its Brier score {scores['brier']:.4f} is worse than the champion's {best['brier']:.4f}")
    return Verdict(not reasons, tuple(reasons), scores, best)
