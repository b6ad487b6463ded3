from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from meteo.errors import InvalidInput, Unavailable
from meteo.features.climatology import Climate
from meteo.forecasts.daily_forecasts import Forecasts
from meteo.forecasts.live_quality import NOT_ENOUGH, quality
from meteo.station import stations

Even = Callable[[float], Climate]
Told = tuple[str, date, str, float, float]
"""A version, a day, a station, a chance, and what happened."""


def told(cells: Sequence[Told]) -> Forecasts:
    """One forecast each."""
    version, day, place, probability, outcome = zip(*cells, strict=True) if cells else [()] * 5
    said = np.array(probability, dtype=float)
    return Forecasts(
        np.array(day, dtype="datetime64[D]"), np.array([list(stations()).index(name) for name in place], dtype=int),
        np.array(version, dtype=int), np.ones(len(said)), said, said**2, np.array(outcome, dtype=float),
    )  # fmt: skip


def test_scores_are_per_version_and_only_with_enough_outcomes(even_climate: Even) -> None:
    first, second = date(2024, 1, 1), date(2024, 1, 2)
    served = told([("1", first, "Sydney", 0.8, 1), ("1", second, "Sydney", 0.4, 0), ("10", first, "Sydney", 0.1, 1),
                   ("10", first, "Perth", 0.1, np.nan)])  # fmt: skip
    one, ten = quality(served, 2, lambda _: even_climate(0.25))
    assert (one.model_version, one.predictions, one.outcomes, one.verdict) == ("1", 2, 2, "measured")
    assert one.brier == pytest.approx((0.2**2 + 0.4**2) / 2)
    assert one.skill == pytest.approx(1 - 0.1 / ((0.75**2 + 0.25**2) / 2)), "against always saying 25 %"
    assert 0.039 <= (one.brier_low or 0) <= 0.1 <= (one.brier_high or 0) <= 0.161
    assert (ten.model_version, ten.predictions, ten.outcomes, ten.brier, ten.verdict) == ("10", 2, 1, None, NOT_ENOUGH)


def test_no_predictions_have_no_quality(even_climate: Even) -> None:
    assert quality(told([]), 1, lambda _: even_climate(0.2)) == []


def test_scores_can_be_told_apart_by_station(even_climate: Even) -> None:
    day = date(2024, 1, 1)
    served = told([("1", day, "Sydney", 0.8, 1), ("1", day, "Perth", 0.4, 0)])
    perth, sydney = quality(served, 1, lambda _: even_climate(0.25), by="station")
    assert (perth.station, sydney.station) == ("Perth", "Sydney")
    assert (perth.brier, sydney.brier) == pytest.approx((0.16, 0.04))
    (both,) = quality(served, 1, lambda _: even_climate(0.25))
    assert (both.station, both.outcomes) == (None, 2)


def test_skill_is_against_the_rate_of_the_month_that_is_forecast_from(even_climate: Even) -> None:
    """The last of January is a January day, though it foretells February's first, as where it is fitted."""
    rain = np.full_like(even_climate(0.9).rain, 0.9)
    rain[:, 0] = 0.2
    climate = replace(even_climate(0.9), rain=rain)
    (found,) = quality(told([("1", date(2024, 1, 31), "Sydney", 0.6, 1)]), 1, lambda _: climate)
    assert found.skill == pytest.approx(1 - 0.4**2 / 0.8**2)


def test_skill_is_against_the_rate_of_the_station(even_climate: Even) -> None:
    rain = np.full_like(even_climate(0.9).rain, 0.9)
    rain[list(stations()).index("Perth")] = 0.2
    climate = replace(even_climate(0.9), rain=rain)
    (found,) = quality(told([("1", date(2024, 1, 31), "Perth", 0.6, 1)]), 1, lambda _: climate)
    assert found.skill == pytest.approx(1 - 0.4**2 / 0.8**2)


def test_without_its_climatology_a_version_has_no_skill_but_all_else() -> None:
    asked: list[str] = []

    def absent(version: str) -> Climate:
        asked.append(version)
        raise Unavailable("nobody there") if version == "9" else InvalidInput("no such version")

    served = told([(version, date(2024, 1, 1), "Sydney", 0.8, 1) for version in ("8", "9", "10")])
    found = quality(served, 1, absent)
    assert [each.skill for each in found] == [None] * 3
    assert [each.brier for each in found] == pytest.approx([0.04] * 3)
    assert asked == ["8", "9"], "a registry that does not answer is not waited for again"
