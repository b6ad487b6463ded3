from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from meteo.errors import InvalidInput
from meteo.observation import Observations
from train.backtest import backtest
from train.fit import Recipe

Build = Callable[..., Observations]
PERIOD = (date(2021, 5, 31), date(2021, 6, 1), date(2021, 12, 30))


def test_a_backtest_reports_model_baselines_years_and_stations(weather: Build, recipe: Recipe) -> None:
    report = backtest(weather(days=730), *PERIOD, None, recipe, lambda _: None)
    assert report["model"]["auc"] > 0.8
    assert set(report["baselines"]) == {"climatology", "persistence", "logistic"}
    assert set(report["by_station"]) == {"Sydney", "Perth"}
    assert set(report["by_year"]) == {"2021"}
    assert sum(part["n"] for part in report["by_station"].values()) == report["model"]["n"]


def test_days_after_the_training_end_change_nothing_that_is_learnt(weather: Build, recipe: Recipe) -> None:
    """Between the day that gives the last label and the day before TEST_START anything may stand."""
    rows = weather(days=730)
    gap = (rows.day > np.datetime64(PERIOD[0]) + 1) & (rows.day < np.datetime64("2021-08-31"))
    values = rows.values.copy()
    values[gap] = 50.0
    spoilt = Observations(rows.station, rows.day, values)
    period = (PERIOD[0], date(2021, 9, 1), PERIOD[2])
    one, two = (backtest(given, *period, None, recipe, lambda _: None)["model"] for given in (rows, spoilt))
    assert one["brier"] == two["brier"]


def test_fewer_fields_are_a_harder_task(weather: Build, recipe: Recipe) -> None:
    rows = weather(days=730)
    full = backtest(rows, *PERIOD, None, recipe, lambda _: None)["model"]
    blind = backtest(rows, *PERIOD, ["temp_3pm"], recipe, lambda _: None)["model"]
    assert blind["auc"] < full["auc"] - 0.2


@pytest.mark.parametrize(
    ("period", "fields", "sentence"),
    [((PERIOD[1], PERIOD[0], PERIOD[2]), None, "must lie before TEST_START"),
     ((date(2001, 1, 1), *PERIOD[1:]), None, "no observation up to TRAIN_END"),
     (PERIOD, ["humidity"], "FIELDS: unknown humidity")],
)  # fmt: skip
def test_a_period_or_field_that_cannot_be_is_refused(
    weather: Build, recipe: Recipe, period: tuple[date, date, date], fields: list[str] | None, sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        backtest(weather(days=730), *period, fields, recipe, lambda _: None)
