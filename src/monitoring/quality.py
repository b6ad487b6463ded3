"""How good the served forecasts were, once it is known what fell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meteo.observation import Floats, Observations
from meteo.prediction_log import Record, outcomes

NOT_ENOUGH = "not enough data"


@dataclass(frozen=True)
class Quality:
    """Live scores of one model version; None where there are too few outcomes to say anything."""

    model_version: str
    predictions: int
    outcomes: int
    brier: float | None
    base_rate: float | None
    verdict: str


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
    if count < minimum:
        return Quality(version, len(outcome), count, None, None, NOT_ENOUGH)
    brier = float(np.mean((probability[known] - outcome[known]) ** 2))
    return Quality(version, len(outcome), count, brier, float(outcome[known].mean()), "measured")
