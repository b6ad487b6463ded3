from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from meteo.observation import Observations
from meteo.prediction_log import SMOKE_TEST, Record, outcomes
from meteo.quality import NOT_ENOUGH, forecasts, quality

Build = Callable[..., Observations]
WET = {("Sydney", month): (100, 25) for month in range(1, 13)}


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
    one, ten = quality(served, fell, 2, WET)
    assert (one.model_version, one.predictions, one.outcomes, one.verdict) == ("1", 2, 2, "measured")
    assert one.brier == pytest.approx((0.2**2 + 0.4**2) / 2)
    assert one.skill == pytest.approx(1 - 0.1 / ((0.75**2 + 0.25**2) / 2), abs=0.01), "against always saying 25 %"
    assert 0.039 <= (one.brier_low or 0) <= 0.1 <= (one.brier_high or 0) <= 0.161
    assert (ten.model_version, ten.outcomes, ten.brier, ten.verdict) == ("10", 1, None, NOT_ENOUGH)


def test_no_predictions_have_no_quality() -> None:
    assert quality([], Observations.empty(), 1, {}) == []


def test_scores_can_be_told_apart_by_station(rows: Build) -> None:
    fell = rows(("Sydney", "2024-01-02", {"rainfall": 9}), ("Perth", "2024-01-02", {"rainfall": 0}))
    served = [record(date(2024, 1, 1), 0.8), record(date(2024, 1, 1), 0.4, station="Perth")]
    perth, sydney = quality(served, fell, 1, WET, by="station")
    assert (perth.station, sydney.station) == ("Perth", "Sydney")
    assert (perth.brier, sydney.brier) == pytest.approx((0.16, 0.04))
    (both,) = quality(served, fell, 1, WET)
    assert (both.station, both.outcomes) == (None, 2)


@dataclass
class Stored:
    """A store as far as it says when rain was known."""

    rain_known: dict[tuple[str, date], datetime] = field(default_factory=dict)
    demo: bool = False

    def rain_known_since(self, start: date, end: date) -> dict[tuple[str, date], datetime]:
        return {key: known for key, known in self.rain_known.items() if start <= key[1] <= end}

    def simulated(self) -> bool:
        return self.demo


def foretold(records: list[Record], stored: Stored) -> list[Record]:
    return forecasts(records, stored)  # type: ignore[arg-type]


def test_what_is_asked_when_its_period_is_over_or_its_rain_is_stored_is_no_forecast() -> None:
    nine = datetime(2024, 1, 1, 22, tzinfo=UTC)  # 9am on the 2nd in Sydney, where the period of the 1st ends
    early, late = (
        replace(record(date(2024, 1, 1), 0.5), made_at=nine + timedelta(minutes=minutes)) for minutes in (-1, 0)
    )
    assert foretold([early, late], Stored()) == [early]
    assert foretold([early, late], Stored(demo=True)) == [early, late], "simulated days end by no real clock"
    known = {("Sydney", date(2024, 1, 2)): nine}
    assert foretold([early, late], Stored(known, demo=True)) == [early]
    assert foretold([early, late], Stored({("Perth", date(2024, 1, 2)): nine}, demo=True)) == [early, late]
    assert foretold([], Stored()) == []


def test_what_the_smoke_test_asks_is_nobodys_forecast() -> None:
    asked = record(date(2024, 1, 1), 0.5)
    assert foretold([asked, replace(asked, subject=SMOKE_TEST)], Stored(demo=True)) == [asked]
