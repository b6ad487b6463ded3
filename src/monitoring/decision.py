"""Whether live quality has fallen so far that a new model should be trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from meteo.observation import Observations
from meteo.prediction_log import Record, outcomes
from meteo.scores import bootstrap_mean

EXCESS = 0.01
"""How much more than it itself expects a model's Brier score may be: about a tenth of the whole."""


@dataclass(frozen=True)
class Decision:
    """Whether to train, and why or why not."""

    ask: bool
    reason: str


def decide(
    records: Sequence[Record], observations: Observations, champion: str | None, trained_at: datetime | None,
    now: datetime, minimum: int, cooldown_days: int, seed: int = 0,
) -> Decision:  # fmt: skip
    """Ask for training when the champion's Brier score surely exceeds what its own probabilities promise.

    A calibrated forecast p expects a Brier score of p (1 - p); what is beyond that is error, whatever the season, where
    the score itself rises and falls with how often it rains.
    """
    if champion is None or trained_at is None:
        return Decision(False, "there is no champion")
    mine = [record for record in records if record.model_version == champion]
    outcome = outcomes(mine, observations)
    known = ~np.isnan(outcome)
    if known.sum() < minimum:
        return Decision(False, f"version {champion}: {known.sum()} outcomes are not enough data, {minimum} are needed")
    probability = np.array([record.probability for record in mine])[known]
    day = np.array([record.day for record in mine], dtype="datetime64[D]")[known]
    excess = (probability - outcome[known]) ** 2 - probability * (1 - probability)
    mean, low, _ = bootstrap_mean(excess, day, seed)
    brier = np.mean((probability - outcome[known]) ** 2)
    told = (
        f"version {champion}: Brier score {brier:.4f} of {known.sum()} outcomes, "
        f"{mean:+.4f} from what it expects of itself (at least {low:+.4f}; {EXCESS:+.4f} is too much)"
    )
    if low <= EXCESS:
        return Decision(False, told)
    rests = trained_at + timedelta(days=cooldown_days) - now
    if rests > timedelta(0):
        return Decision(False, f"{told}; but it was trained {trained_at:%Y-%m-%d}, less than {cooldown_days} days ago")
    return Decision(True, told)
