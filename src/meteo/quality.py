"""How good the served forecasts were, once it is known what fell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

import numpy as np

from meteo import scores
from meteo.observation import Floats, Observations, rain_period
from meteo.prediction_log import SMOKE_TEST, Record, outcomes
from meteo.station import station
from meteo.store import ObservationStore

NOT_ENOUGH = "not enough data"
MEASURED = "measured"
_STRENGTH = 10.0
"""Days of the overall rate added to a station-month's own."""

Wet = Mapping[tuple[str, int], tuple[int, int]]
"""Of each station and month: known days and wet days, as `ObservationStore.wet_days` gives them."""
By = Literal["version", "station"]


@dataclass(frozen=True)
class Quality:
    """Live scores of one model version, at one station if that is given; None where there are too few outcomes to say
    anything. `brier_low` and `brier_high` bound the Brier score with 90 % confidence, days resampled. `expected_brier`
    is the score that its own probabilities promise, mean p (1 - p): what is above it is error, whatever the season.
    `skill` is 1 - Brier / that of always saying the station-month's rate."""

    model_version: str
    predictions: int
    outcomes: int
    verdict: str
    station: str | None = None
    base_rate: float | None = None
    brier: float | None = None
    brier_low: float | None = None
    brier_high: float | None = None
    expected_brier: float | None = None
    skill: float | None = None
    log_loss: float | None = None
    roc_auc: float | None = None
    reliability: tuple[scores.Bin, ...] = field(default=())


def forecasts(records: Sequence[Record], store: ObservationStore) -> list[Record]:
    """Those of the records that foretold something: asked before their period was over, and before what then fell was
    stored. What is asked about days long past is hindsight, and says nothing of how good forecasts are; nor does what
    the smoke test asks. Simulated days end by no real clock: of them only the storing counts."""
    if not records:
        return []
    days = [record.day + timedelta(days=1) for record in records]
    rain_known, simulated = store.rain_known_since(min(days), max(days)), store.simulated() is True

    def is_forecast(record: Record) -> bool:
        known = rain_known.get((record.station, record.day + timedelta(days=1)))
        if record.subject == SMOKE_TEST or (known is not None and record.made_at >= known):
            return False
        return simulated or record.made_at < rain_period(record.day, station(record.station).zone)[1]

    return [record for record in records if is_forecast(record)]


def quality(
    records: Sequence[Record], observations: Observations, minimum: int, wet: Wet, by: By = "version"
) -> list[Quality]:
    """Scores per model version (and station), in order; below `minimum` outcomes the verdict is that."""
    outcome, usual = outcomes(records, observations), climatology(records, wet)
    groups: dict[tuple[str, str | None], list[int]] = {}
    for row, record in enumerate(records):
        groups.setdefault((record.model_version, record.station if by == "station" else None), []).append(row)
    ordered = sorted(groups.items(), key=lambda group: (int(group[0][0]), group[0][1] or ""))
    return [
        _scores(*key, [records[row] for row in rows], outcome[rows], usual[rows], minimum) for key, rows in ordered
    ]  # fmt: skip


def _scores(
    version: str, place: str | None, records: Sequence[Record], outcome: Floats, usual: Floats, minimum: int
) -> Quality:
    known = ~np.isnan(outcome)
    count = int(known.sum())
    if count < max(minimum, 1):
        return Quality(version, len(outcome), count, NOT_ENOUGH, place)
    said = np.array([record.probability for record in records])[known]
    day = np.array([record.day for record in records], dtype="datetime64[D]")[known]
    happened = outcome[known]
    brier, low, high = scores.bootstrap_mean((said - happened) ** 2, day, seed=0)
    return Quality(
        version, len(outcome), count, MEASURED, place, float(happened.mean()), brier, low, high,
        float(np.mean(said * (1 - said))), 1 - brier / scores.brier(happened, usual[known]),
        scores.log_loss(happened, said), scores.roc_auc(happened, said), tuple(scores.reliability(happened, said)),
    )  # fmt: skip


def climatology(records: Sequence[Record], wet: Wet) -> Floats:
    """How often it is wet at the station in the month that each forecast is for, (n,)."""
    known, rainy = (sum(counts[index] for counts in wet.values()) for index in (0, 1))
    overall = (rainy + 1) / (known + 2)
    rates = []
    for record in records:
        days, of_them = wet.get((record.station, (record.day + timedelta(days=1)).month), (0, 0))
        rates.append((of_them + _STRENGTH * overall) / (days + _STRENGTH))
    return np.array(rates)
