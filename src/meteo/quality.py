"""How good the served forecasts were, once it is known what fell."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from meteo import scores
from meteo.observation import Floats, Observations
from meteo.prediction_log import Record, outcomes

NOT_ENOUGH = "not enough data"
MEASURED = "measured"


@dataclass(frozen=True)
class Quality:
    """Live scores of one model version; None where there are too few outcomes to say anything. `expected_brier` is the
    score that its own probabilities promise, mean p (1 - p): what is above it is error, whatever the season."""

    model_version: str
    predictions: int
    outcomes: int
    verdict: str
    base_rate: float | None = None
    brier: float | None = None
    expected_brier: float | None = None
    log_loss: float | None = None
    roc_auc: float | None = None
    reliability: tuple[scores.Bin, ...] = field(default=())


def quality(records: Sequence[Record], observations: Observations, minimum: int) -> list[Quality]:
    """Scores per model version, in the order of the versions; below `minimum` outcomes the verdict is that."""
    outcome = outcomes(records, observations)
    probability = np.array([record.probability for record in records])
    version = np.array([record.model_version for record in records])
    return [
        _scores(name, outcome[version == name], probability[version == name], minimum)
        for name in sorted(set(version.tolist()), key=int)
    ]


def _scores(version: str, outcome: Floats, probability: Floats, minimum: int) -> Quality:
    known = ~np.isnan(outcome)
    count = int(known.sum())
    if count < max(minimum, 1):
        return Quality(version, len(outcome), count, NOT_ENOUGH)
    happened, said = outcome[known], probability[known]
    return Quality(
        version, len(outcome), count, MEASURED, float(happened.mean()), scores.brier(happened, said),
        float(np.mean(said * (1 - said))), scores.log_loss(happened, said), scores.roc_auc(happened, said),
        tuple(scores.reliability(happened, said)),
    )  # fmt: skip
