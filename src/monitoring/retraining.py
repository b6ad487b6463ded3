"""Whether live quality has fallen so far that a new model should be trained."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from meteo.features.climatology import Climate
from meteo.forecasts.daily_forecasts import Forecasts
from meteo.forecasts.live_quality import reference
from meteo.forecasts.verification import bootstrap_mean

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
    """What is served: its version, when it was trained, the climatology it learnt with, and its skill against that on
    held-out days; None where they are not known."""

    version: str
    trained_at: datetime
    climate: Climate | None
    promised_skill: float | None


def decide(
    forecasts: Forecasts, champion: Champion | None, now: datetime, minimum: int, cooldown_days: int, seed: int = 0
) -> Decision:
    """Ask for training when the champion's forecasts surely are not what they promised.

    A calibrated forecast p expects a Brier score of p (1 - p); what is beyond that is error, whatever the season, where
    the score itself rises and falls with how often it rains. A forecast that only says how often it rains is calibrated
    too, so the skill must be there as well.
    """
    if champion is None:
        return Decision(False, "there is no champion")
    version = champion.version
    mine = forecasts[(forecasts.version == int(version)) & ~np.isnan(forecasts.outcome)]
    count = int(mine.n.sum())
    if count < minimum:
        return Decision(False, f"version {version}: {count} outcomes are not enough data, {minimum} are needed")
    error = mine.squared_error
    mean, low, _ = bootstrap_mean(error - mine.probability + mine.squared, mine.day, seed, n=mine.n)
    told = (
        f"version {version}: Brier score {error.sum() / count:.4f} of {count} outcomes, "
        f"{mean:+.4f} from what it expects of itself (at least {low:+.4f}; {EXCESS:+.4f} is too much)"
    )
    fallen = low > EXCESS
    if champion.climate is not None and champion.promised_skill is not None:
        of_usual = reference(mine, champion.climate)
        least = KEPT * champion.promised_skill
        _, short, _ = bootstrap_mean(error - (1 - least) * of_usual, mine.day, seed, n=mine.n)
        told += f", skill {1 - error.sum() / of_usual.sum():.2f} of {champion.promised_skill:.2f} promised"
        if short > 0:
            fallen, told = True, f"{told} (surely below {least:.2f})"
    if not fallen:
        return Decision(False, told)
    rests = champion.trained_at + timedelta(days=cooldown_days) - now
    if rests > timedelta(0):
        since = f"{champion.trained_at:%Y-%m-%d}"
        return Decision(False, f"{told}; but it was trained {since}, less than {cooldown_days} days ago")
    return Decision(True, told)
