from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meteo.errors import InvalidInput
from meteo.features import station_row
from meteo.features.matrix import FEATURE_NAMES
from meteo.observation import Observations
from train.backtest import GROUPS, SITUATIONS, Neighbours, backtest, unknown_columns
from train.fit import Recipe
from train.plots import draw

Build = Callable[..., Observations]
Report = dict[str, Any]
PERIOD = (date(2021, 5, 31), date(2021, 6, 1), date(2021, 12, 30))


@pytest.fixture(scope="module")
def report(weather: Build, recipe: Recipe) -> Report:
    """Of the backtest that nothing is changed of; read by many, changed by nobody."""
    return backtest(weather(days=730), *PERIOD, None, recipe, lambda _: None)


def test_a_backtest_reports_model_baselines_years_and_stations(report: Report) -> None:
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


def test_fewer_fields_are_a_harder_task(weather: Build, recipe: Recipe, report: Report) -> None:
    blind = backtest(weather(days=730), *PERIOD, ["temp_3pm"], recipe, lambda _: None)["model"]
    assert blind["auc"] < report["model"]["auc"] - 0.2


def test_training_can_begin_later(weather: Build, recipe: Recipe, report: Report) -> None:
    rows = weather(days=730)
    start = date(2020, 6, 1)
    cut = backtest(rows[rows.day >= np.datetime64(start)], *PERIOD, None, recipe, lambda _: None)
    late = backtest(rows, *PERIOD, None, recipe, lambda _: None, train_start=start)
    assert late["model"] == cut["model"]
    assert late["model"]["brier"] != report["model"]["brier"]


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


def test_the_report_tells_skill_parts_intervals_and_months(report: Report) -> None:
    model = report["model"]
    expected = 1 - model["brier"] / report["baselines"]["climatology"]["brier"]
    assert model["brier_skill"] == pytest.approx(expected, abs=0.02)
    assert model["reliability"] < model["resolution"] < model["uncertainty"]
    low, high = model["intervals"]["auc"]
    assert low < model["auc"] < high
    assert set(report["by_month"]) == {str(month) for month in range(6, 13)}
    assert all(scores["brier_skill"] > 0 for scores in report["by_station"].values())


@pytest.mark.parametrize("neighbours", ["stored", "likewise", "none"])
def test_neighbours_are_as_stored_masked_likewise_or_none(
    weather: Build, recipe: Recipe, neighbours: Neighbours
) -> None:
    """Penrith copies Sydney's humidity, which decides the rain: a Sydney that is not told its own can ask there."""
    rows = weather(stations=("Sydney",), days=730)
    twin = Observations(np.full(len(rows), "Penrith"), rows.day, rows.values)
    both = Observations.concatenate([twin, rows])
    report = backtest(both, *PERIOD, ["temp_3pm"], recipe, lambda _: None, neighbours)
    assert (report["model"]["auc"] > 0.8) == (neighbours == "stored")


def test_a_group_of_features_can_be_hidden(weather: Build, recipe: Recipe) -> None:
    rows = weather(stations=("Sydney",), days=730)
    twin = Observations(np.full(len(rows), "Penrith"), rows.day, rows.values)
    both = Observations.concatenate([twin, rows])
    report = backtest(both, *PERIOD, ["temp_3pm"], recipe, lambda _: None, without=["near", "sides"])
    assert report["model"]["auc"] < 0.7


def test_the_groups_part_all_that_is_not_the_row() -> None:
    columns = [unknown_columns([group]) for group in GROUPS]
    assert all(len(found) for found in columns)
    named = np.unique(np.concatenate(columns))
    np.testing.assert_array_equal(named, np.arange(len(station_row.NAMES), len(FEATURE_NAMES)))
    with pytest.raises(InvalidInput, match="WITHOUT: unknown maps"):
        unknown_columns(["maps"])


def test_the_plots_are_pictures(report: Report, tmp_path: Path) -> None:
    draw(report, tmp_path)
    for name in ("reliability", "by-station", "by-month"):
        assert (tmp_path / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_same_model_is_scored_in_other_situations(weather: Build, recipe: Recipe, report: Report) -> None:
    assert set(report["situations"]) == set(SITUATIONS)
    fields, neighbours = SITUATIONS["five fields"]
    alone = backtest(weather(days=730), *PERIOD, fields, recipe, lambda _: None, neighbours)["model"]
    assert report["situations"]["five fields"]["brier"] == pytest.approx(alone["brier"])
    assert report["situations"]["9am readings"]["auc"] < 0.7, "no humidity at 3pm, no knowledge"
