from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from meteo.features.climatology import USUAL, Climate
from meteo.features.station_row import STATIONS
from meteo.forecasts.daily_forecasts import Forecasts
from meteo.station import stations
from monitoring.retraining import Champion, Decision, decide

START, DAYS = date(2024, 1, 1), 400
NOW = datetime(2025, 6, 1, tzinfo=UTC)
WET = Climate(np.full((len(STATIONS), 12, len(USUAL)), np.nan), np.full((len(STATIONS), 12), 0.4))
CHAMPION = Champion("3", datetime(2024, 1, 1, tzinfo=UTC), WET, 0.35)


def served(honest: bool, version: str = "3") -> Forecasts:
    """Forecasts of a wet and dry climate, and what fell: as often as was said, or the other way round."""
    dice = np.random.default_rng(0)
    probability = dice.choice([0.1, 0.7], DAYS)
    rained = dice.uniform(size=DAYS) < (probability if honest else 1 - probability)
    sydney = np.full(DAYS, list(stations()).index("Sydney"))
    return Forecasts(np.datetime64(START) + np.arange(DAYS), sydney, np.full(DAYS, int(version)), np.ones(DAYS),
                     probability, probability**2, rained.astype(float))  # fmt: skip


def asked(honest: bool, **changes: object) -> Decision:
    given = {"champion": CHAMPION, "now": NOW, "minimum": 100, "cooldown_days": 7, **changes}
    return decide(served(honest), **given)  # type: ignore[arg-type]


def test_a_model_that_keeps_its_promise_is_left_alone() -> None:
    found = asked(honest=True)
    assert not found.ask
    assert "400 outcomes" in found.reason


def test_a_model_that_breaks_it_is_replaced_with_the_numbers_told() -> None:
    found = asked(honest=False)
    assert found.ask
    assert "version 3: Brier score 0." in found.reason
    assert "+0.01" in found.reason


def test_too_few_outcomes_are_no_verdict() -> None:
    found = asked(honest=False, minimum=401)
    assert (found.ask, "not enough data" in found.reason) == (False, True)


def test_another_versions_failure_says_nothing_of_the_champion() -> None:
    assert "0 outcomes" in asked(honest=False, champion=replace(CHAMPION, version="4")).reason


def test_a_young_model_is_given_time() -> None:
    found = asked(honest=False, champion=replace(CHAMPION, trained_at=NOW - timedelta(days=6)))
    assert (found.ask, "less than 7 days ago" in found.reason) == (False, True)
    assert asked(honest=False, champion=replace(CHAMPION, trained_at=NOW - timedelta(days=8))).ask


def test_without_a_champion_nothing_is_asked() -> None:
    assert not asked(honest=False, champion=None).ask


def test_forecasts_that_keep_their_word_but_say_nothing_are_not_good_enough() -> None:
    """Always saying how often it rains is calibrated: only the lack of skill tells."""
    told = served(honest=True)
    empty = replace(told, probability=np.full(DAYS, 0.4), squared=np.full(DAYS, 0.16))
    found = decide(empty, CHAMPION, NOW, 100, 7)
    assert found.ask
    assert "surely below 0.17" in found.reason or "surely below 0.18" in found.reason
    for unknown in (replace(CHAMPION, promised_skill=None), replace(CHAMPION, climate=None)):
        assert not decide(empty, unknown, NOW, 100, 7).ask
