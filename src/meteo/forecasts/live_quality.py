"""How good the served forecasts were, once it is known what fell."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from meteo.errors import MeteoError, Unavailable
from meteo.features.climatology import Climate
from meteo.forecasts import verification
from meteo.forecasts.daily_forecasts import Forecasts
from meteo.observation import Floats
from meteo.runtime.logs import logger
from meteo.station import stations

NOT_ENOUGH = "not enough data"
MEASURED = "measured"

Climates = Callable[[str], Climate]
"""The climatology that a model version learnt with, as `Registry.climate` gives it."""
By = Literal["version", "station"]


@dataclass(frozen=True)
class Quality:
    """Live scores of one model version, at one station if that is given; None where there are too few outcomes to say
    anything. `brier_low` and `brier_high` bound the Brier score with 90 % confidence, days resampled. `expected_brier`
    is the score that its own probabilities promise, mean p (1 - p): what is above it is error, whatever the season.
    `skill` is against the climatology that the version learnt with, as its card's is; None where that is not to be had.
    """

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
    reliability: tuple[verification.Bin, ...] = field(default=())


def quality(forecasts: Forecasts, minimum: int, climates: Climates, by: By = "version") -> list[Quality]:
    """Scores per model version (and station), in order; below `minimum` outcomes the verdict is that.

    All are exact but ROC AUC and log loss, which take the forecasts of a station-day's bin as their mean.
    """
    place = forecasts.station if by == "station" else np.full(len(forecasts), -1)
    names = [*stations(), None]
    keys = np.unique(np.stack([forecasts.version, place]), axis=1).T.tolist()
    groups = [((str(version), names[at]), (forecasts.version == version) & (place == at)) for version, at in keys]
    known = climatologies(dict.fromkeys(version for (version, _), _ in groups), climates)
    return [_scores(*key, forecasts[chosen], known.get(key[0]), minimum) for key, chosen in groups]


def _scores(version: str, place: str | None, forecasts: Forecasts, climate: Climate | None, minimum: int) -> Quality:
    known = ~np.isnan(forecasts.outcome)
    predictions, count = (int(forecasts.n[of].sum()) for of in (slice(None), known))
    if count < max(minimum, 1):
        return Quality(version, predictions, count, NOT_ENOUGH, place)
    told = forecasts[known]
    happened, said, n = told.outcome, told.mean, told.n
    skill = None if climate is None else 1 - told.squared_error.sum() / reference(told, climate).sum()
    brier, low, high = verification.bootstrap_mean(told.squared_error, told.day, seed=0, n=n)
    return Quality(
        version,
        predictions,
        count,
        MEASURED,
        place,
        float(np.average(happened, weights=n)),
        brier,
        low,
        high,
        float((told.probability - told.squared).sum() / count),
        skill,
        verification.log_loss(happened, said, n),
        verification.roc_auc(happened, said, n),
        tuple(verification.reliability(happened, said, n)),
    )


def climatologies(versions: Iterable[str], climates: Climates) -> dict[str, Climate]:
    """What each version learnt with; a warning, and not in it, where the registry does not give it."""
    known = {}
    for version in versions:
        try:
            known[version] = climates(version)
        except MeteoError as error:
            logger().warning("no skill: a version's climatology is not to be had", version=version, reason=error.detail)
            if isinstance(error, Unavailable):  # asking on would only take as long again
                break
    return known


def reference(forecasts: Forecasts, climate: Climate) -> Floats:
    """The sums of the squared errors of having said the climatology instead, (cells,)."""
    station = np.array(list(stations()))[forecasts.station]
    return forecasts.n * (climate.rates(station, forecasts.day) - forecasts.outcome) ** 2
