"""Whether live quality has fallen so far that a new model should be trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from meteo.observation import Observations
from meteo.prediction_log import Record, outcomes
from meteo.quality import Wet, climatology
from meteo.scores import bootstrap_mean

EXCESS = 0.01
"""How much more than it itself expects a model's Brier score may be: about a tenth of the whole."""

KEPT = 0.5
"""Of the skill that the held-out days promised, what must be left."""


@dataclass(frozen=True)
class Decision:
    """Whether to train, and why or why not."""

    ask: bool
    reason: str


@dataclass(frozen=True)
class Champion:
    """What is served: its version, when it was trained, and its skill on held-out days against always saying how often
    it rains there; None where that is not known."""

    version: str
    trained_at: datetime
    promised_skill: float | None

    @classmethod
    def of(cls, version: str, trained_at: datetime, tags: Mapping[str, str]) -> "Champion":
        """From a registered version's tags."""
        if not {"brier", "base_rate"} <= tags.keys():
            return cls(version, trained_at, None)
        rate = float(tags["base_rate"])
        return cls(version, trained_at, 1 - float(tags["brier"]) / (rate * (1 - rate)))


def decide(
    records: Sequence[Record], observations: Observations, wet: Wet, champion: Champion | None, now: datetime,
    minimum: int, cooldown_days: int, seed: int = 0,
) -> Decision:  # fmt: skip
    """Ask for training when the champion's forecasts surely are not what they promised.

    A calibrated forecast p expects a Brier score of p (1 - p); what is beyond that is error, whatever the season, where
    the score itself rises and falls with how often it rains. A forecast that only says how often it rains is calibrated
    too, so the skill must be there as well.
    """
    if champion is None:
        return Decision(False, "there is no champion")
    version = champion.version
    mine = [record for record in records if record.model_version == version]
    outcome = outcomes(mine, observations)
    known = ~np.isnan(outcome)
    if known.sum() < minimum:
        return Decision(False, f"version {version}: {known.sum()} outcomes are not enough data, {minimum} are needed")
    probability, usual = np.array([record.probability for record in mine])[known], climatology(mine, wet)[known]
    day = np.array([record.day for record in mine], dtype="datetime64[D]")[known]
    error, of_usual = (probability - outcome[known]) ** 2, (usual - outcome[known]) ** 2
    mean, low, _ = bootstrap_mean(error - probability * (1 - probability), day, seed)
    told = (
        f"version {version}: Brier score {error.mean():.4f} of {known.sum()} outcomes, "
        f"{mean:+.4f} from what it expects of itself (at least {low:+.4f}; {EXCESS:+.4f} is too much)"
    )
    fallen = low > EXCESS
    if champion.promised_skill is not None:
        least = KEPT * champion.promised_skill
        _, short, _ = bootstrap_mean(error - (1 - least) * of_usual, day, seed)
        told += f", skill {1 - error.mean() / of_usual.mean():.2f} of {champion.promised_skill:.2f} promised"
        if short > 0:
            fallen, told = True, f"{told} (surely below {least:.2f})"
    if not fallen:
        return Decision(False, told)
    rests = champion.trained_at + timedelta(days=cooldown_days) - now
    if rests > timedelta(0):
        since = f"{champion.trained_at:%Y-%m-%d}"
        return Decision(False, f"{told}; but it was trained {since}, less than {cooldown_days} days ago")
    return Decision(True, told)
