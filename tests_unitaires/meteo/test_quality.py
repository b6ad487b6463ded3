from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pytest

from meteo.observation import Observations
from meteo.prediction_log import Record, outcomes
from meteo.quality import NOT_ENOUGH, quality

Build = Callable[..., Observations]


def record(day: date, probability: float, version: str = "1", station: str = "Sydney") -> Record:
    return Record("p", datetime.now(UTC), "r", "ann", station, day, {}, probability, 0.5, probability > 0.5, version)


def test_the_outcome_is_the_rain_of_the_day_after(rows: Build) -> None:
    fell = rows(("Sydney", "2024-01-01", {"rainfall": 50}), ("Sydney", "2024-01-02", {"rainfall": 1.0}),
                ("Sydney", "2024-01-03", {"rainfall": 1.2}), ("Sydney", "2024-01-04", {"temp_3pm": 20}))  # fmt: skip
    served = [record(date(2024, 1, day), 0.5) for day in (1, 2, 3, 4)]
    np.testing.assert_array_equal(outcomes(served, fell), [0, 1, np.nan, np.nan])


def test_scores_are_per_version_and_only_with_enough_outcomes(rows: Build) -> None:
    fell = rows(("Sydney", "2024-01-02", {"rainfall": 9}), ("Sydney", "2024-01-03", {"rainfall": 0}))
    served = [record(date(2024, 1, 1), 0.8), record(date(2024, 1, 2), 0.4), record(date(2024, 1, 1), 0.1, "10")]
    one, ten = quality(served, fell, minimum=2)
    assert (one.model_version, one.predictions, one.outcomes, one.verdict) == ("1", 2, 2, "measured")
    assert one.brier == pytest.approx((0.2**2 + 0.4**2) / 2)
    assert (ten.model_version, ten.outcomes, ten.brier, ten.verdict) == ("10", 1, None, NOT_ENOUGH)


def test_no_predictions_have_no_quality() -> None:
    assert quality([], Observations.empty(), 1) == []
