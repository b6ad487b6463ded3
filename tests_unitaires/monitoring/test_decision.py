from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from meteo.observation import Observations
from meteo.prediction_log import Record
from monitoring.decision import Champion, Decision, decide

Build = Callable[..., Observations]
START, DAYS = date(2024, 1, 1), 400
NOW = datetime(2025, 6, 1, tzinfo=UTC)
CHAMPION = Champion("3", datetime(2024, 1, 1, tzinfo=UTC), 0.35)
WET = {("Sydney", month): (1000, 400) for month in range(1, 13)}


def served(rows: Build, honest: bool, version: str = "3") -> tuple[list[Record], Observations]:
    """Forecasts of a wet and dry climate, and what fell: as often as was said, or the other way round."""
    dice = np.random.default_rng(0)
    probability = dice.choice([0.1, 0.7], DAYS)
    rained = dice.uniform(size=DAYS) < (probability if honest else 1 - probability)
    days = [START + timedelta(days=number) for number in range(DAYS + 1)]
    fell = rows(*(("Sydney", day, {"rainfall": 9.0 if wet else 0.0})
                  for day, wet in zip(days[1:], rained.tolist(), strict=True)))  # fmt: skip
    records = [
        Record(str(day), NOW, "r", "ann", "Sydney", day, {}, float(p), 0.5, p > 0.5, version)
        for day, p in zip(days, probability, strict=False)
    ]
    return records, fell


def asked(rows: Build, honest: bool, **changes: object) -> Decision:
    given = {"champion": CHAMPION, "now": NOW, "minimum": 100, "cooldown_days": 7, **changes}
    return decide(*served(rows, honest), WET, **given)  # type: ignore[arg-type]


def test_a_model_that_keeps_its_promise_is_left_alone(rows: Build) -> None:
    found = asked(rows, honest=True)
    assert not found.ask
    assert "400 outcomes" in found.reason


def test_a_model_that_breaks_it_is_replaced_with_the_numbers_told(rows: Build) -> None:
    found = asked(rows, honest=False)
    assert found.ask
    assert "version 3: Brier score 0." in found.reason
    assert "+0.01" in found.reason


def test_too_few_outcomes_are_no_verdict(rows: Build) -> None:
    found = asked(rows, honest=False, minimum=401)
    assert (found.ask, "not enough data" in found.reason) == (False, True)


def test_another_versions_failure_says_nothing_of_the_champion(rows: Build) -> None:
    assert "0 outcomes" in asked(rows, honest=False, champion=replace(CHAMPION, version="4")).reason


def test_a_young_model_is_given_time(rows: Build) -> None:
    found = asked(rows, honest=False, champion=replace(CHAMPION, trained_at=NOW - timedelta(days=6)))
    assert (found.ask, "less than 7 days ago" in found.reason) == (False, True)
    assert asked(rows, honest=False, champion=replace(CHAMPION, trained_at=NOW - timedelta(days=8))).ask


def test_without_a_champion_nothing_is_asked(rows: Build) -> None:
    assert not asked(rows, honest=False, champion=None).ask


def test_forecasts_that_keep_their_word_but_say_nothing_are_not_good_enough(rows: Build) -> None:
    """Always saying how often it rains is calibrated: only the lack of skill tells."""
    records, fell = served(rows, honest=True)
    empty = [replace(record, probability=0.4) for record in records]
    found = decide(empty, fell, WET, CHAMPION, NOW, 100, 7)
    assert found.ask
    assert "surely below 0.17" in found.reason or "surely below 0.18" in found.reason
    assert not decide(empty, fell, WET, replace(CHAMPION, promised_skill=None), NOW, 100, 7).ask


def test_the_promised_skill_is_against_the_rate_of_the_held_out_days() -> None:
    found = Champion.of("3", NOW, {"brier": "0.12", "base_rate": "0.2"})
    assert abs((found.promised_skill or 0) - 0.25) < 1e-9
    assert Champion.of("3", NOW, {}).promised_skill is None
