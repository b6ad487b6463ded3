"""Drift of a day, of what arrived and of what forecasts were asked with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from ingest.demo.climate import Climate
from ingest.demo.weather import Weather
from meteo.forecasts.prediction_log import Record
from meteo.observation import INDEX, NAMES, Observations
from monitoring.report import LIMITS, METHODS, compare, known_rows, page, same_season
from monitoring.summary import find

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pandas.errors.Pandas4Warning")
"""Evidently's, not ours."""

START, END = date(2023, 6, 1), date(2024, 11, 30)
WINDS = ("wind_gust_speed", "wind_speed_9am", "wind_speed_3pm")


@pytest.fixture(scope="module")
def weather() -> Observations:
    return Weather(Climate.load()).days(START, END)


def changed(weather: Observations, station: str | None, names: Sequence[str], factor: float) -> Observations:
    """The last week otherwise, at one station or all."""
    values = weather.values.copy()
    rows = weather.day > np.datetime64(END) - 7
    if station:
        rows &= weather.station == station
    for name in names:
        values[rows, INDEX[name]] *= factor
    return Observations(weather.station, weather.day, values)


def asked_with(weather: Observations) -> list[Record]:
    """Forecasts asked with the last week's rows of one station."""
    rows = weather[(weather.station == "Sydney") & (weather.day > np.datetime64(END) - 7)]
    return [
        Record(str(day), datetime(2024, 12, 1, tzinfo=UTC), "r", "ann", "Sydney", day,
               {name: value for name, value in item.items() if value is not None}, 0.5, 0.5, True, "1")
        for day, item in zip(rows.day.tolist(), rows.items(), strict=True)
    ]  # fmt: skip


def test_sound_instruments_and_honest_inputs_are_quiet(weather: Observations) -> None:
    drift = find(weather, asked_with(weather))
    assert (drift.verdict, drift.day) == ("quiet", END)
    assert (drift.observations.verdict, drift.served.verdict) == ("quiet", "quiet")
    assert len(drift.served.recent) == 7
    page = drift.observations.page()
    assert page is not None
    assert "wind_speed_3pm" in page


def test_a_fault_at_one_station_is_drift_of_what_arrived_and_not_of_what_was_asked(weather: Observations) -> None:
    drift = find(changed(weather, "Sydney", WINDS, 1 / 3.6), [])
    assert drift.verdict == drift.observations.verdict == "drift"
    assert {alarm.station for alarm in drift.observations.alarms} == {"Sydney"}
    assert drift.served.verdict == "not enough data"


def test_inputs_in_other_units_are_drift_of_what_was_asked_only(weather: Observations) -> None:
    drift = find(weather, asked_with(changed(weather, "Sydney", WINDS, 1 / 3.6)))
    assert (drift.verdict, drift.observations.verdict, drift.served.verdict) == ("drift", "quiet", "drift")
    assert {(alarm.station, alarm.channel) for alarm in drift.served.alarms} == {("Sydney", "wind")}


def test_a_field_unlike_its_season_everywhere_is_named(weather: Observations) -> None:
    drift = find(changed(weather, None, ("sunshine",), 0.0), [])
    season = [alarm for alarm in drift.observations.alarms if alarm.kind == "season"]
    assert [(alarm.station, alarm.channel) for alarm in season] == [("all stations", "sunshine")]
    (column,) = [column for column in drift.observations.summary()["columns"] if column["drifted"]]
    assert column["field"] == "sunshine"
    assert drift.observations.share == pytest.approx(1 / len(drift.observations.summary()["columns"]))


def test_too_little_history_is_not_said_to_be_quiet(weather: Observations) -> None:
    assert find(Observations.empty(), []).summary()["verdict"] == "not enough data"
    short = find(weather[weather.day > np.datetime64("2024-03-01")], [])
    assert (short.verdict, short.day) == ("not enough data", END)


def test_the_same_season_is_of_every_year_and_goes_round_new_year() -> None:
    days = np.array(["2019-12-20", "2020-01-01", "2020-01-14", "2020-01-20", "2020-07-01", "2021-01-02"], "M8[D]")
    assert same_season(days, np.datetime64("2023-01-02")).tolist() == [True, True, True, False, False, True]


def test_method_and_threshold_are_pinned_whatever_the_number_of_rows() -> None:
    assert set(METHODS) == set(LIMITS) == set(NAMES)
    generator = np.random.default_rng(0)

    def rows(n: int, shift: float) -> Any:
        found = np.full((n, len(NAMES)), np.nan)
        found[:, INDEX["pressure_3pm"]] = generator.normal(1015 + shift, 5, n)
        found[:, INDEX["wind_dir_3pm"]] = generator.integers(0, 16, n)
        return found

    for size in (200, 5000):
        found = {column.field: column for column in compare(rows(size, 10), rows(size, 0))}
        assert (found["pressure_3pm"].method, found["wind_dir_3pm"].method) == ("wasserstein", "jensenshannon")
        assert found["pressure_3pm"].distance == pytest.approx(2.0, abs=0.25), "10 hPa are 2 standard deviations"
        assert found["pressure_3pm"].drifted
        assert not found["wind_dir_3pm"].drifted
    assert compare(rows(10, 0), rows(5000, 0)) == ()
    assert len(known_rows(np.concatenate([rows(3, 0), np.full((2, len(NAMES)), np.nan)]))) == 3


def test_the_distances_are_those_that_evidently_shows(weather: Observations) -> None:
    recent = weather.values[weather.day > np.datetime64(END) - 7]
    season = weather.values[weather.day < np.datetime64(END) - 330]
    columns = compare(recent, season)
    assert [column.field for column in columns] == list(NAMES)
    shown = page(recent, season, columns)
    for column in columns:
        assert f"{column.distance:.6f}"[:-1] in shown, column.field


def test_pages_are_drawn_on_one_day_of_so_many_and_whenever_something_drifts(weather: Observations) -> None:
    quiet = find(weather, asked_with(weather))
    week = [replace(quiet, day=END + timedelta(days=number)) for number in range(7)]
    assert [day.has_page(side, 1) for day in week for side in (day.observations, day.served)] == [True] * 14
    assert sum(day.has_page(day.observations, 7) for day in week) == 1
    broken = find(changed(weather, "Cobar", WINDS, 1 / 3.6), [])
    for number in range(7):
        day = replace(broken, day=END + timedelta(days=number))
        assert day.has_page(day.observations, 7)
        assert day.has_page(day.served, 7) is week[number].has_page(week[number].served, 7), "only what drifted"
    assert not replace(quiet, day=None).has_page(quiet.observations, 1)
