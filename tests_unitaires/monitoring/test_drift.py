"""The alarms: each fault raises its own, at its station, and quiet weather raises none."""

from datetime import date, timedelta

import numpy as np
import pytest

from ingest.demo.climate import Climate
from ingest.demo.weather import Weather
from meteo.features.station_row import STATIONS
from meteo.observation import INDEX, NAMES
from monitoring.drift import ALL, BASE, EVERY, STUCK_DAYS, WINDOW, Alarm, Watch
from monitoring.spatial_residuals import CHANNELS, Panel

TAUGHT = 640
SYDNEY = STATIONS.index("Sydney")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.of(Weather(Climate.load()).days(date(2023, 1, 2), date(2024, 12, 31)))


@pytest.fixture(scope="module")
def watch(panel: Panel) -> Watch:
    return Watch(panel[:TAUGHT])


def spoilt(panel: Panel, station: int | slice, names: tuple[str, ...], change: object, days: int = WINDOW) -> Panel:
    """The last weeks, with the last `days` of some fields at a station changed by a function."""
    recent = panel[TAUGHT:]
    values = recent.values.copy()
    for name in names:
        values[-days:, station, INDEX[name]] = change(values[-days:, station, INDEX[name]])  # type: ignore[operator]
    return Panel(recent.first, values)


def the(watch: Watch, panel: Panel) -> list[Alarm]:
    found = watch.alarms(panel)
    assert found is not None
    return found


def test_quiet_weather_raises_no_alarm(panel: Panel, watch: Watch) -> None:
    for end in range(TAUGHT + BASE + WINDOW, len(panel) + 1):
        assert [alarm for alarm in the(watch, panel[end - BASE - 2 * WINDOW : end]) if alarm.kind != "vanished"] == []


def test_wind_in_other_units_is_a_shift_of_that_station(panel: Panel, watch: Watch) -> None:
    found = the(watch, spoilt(panel, SYDNEY, CHANNELS["wind"], lambda values: values / 3.6))
    (alarm,) = [alarm for alarm in found if alarm.kind == "shift"]
    assert (alarm.station, alarm.channel) == ("Sydney", "wind")
    assert {other.station for other in found} == {"Sydney"}
    assert alarm.statistic >= alarm.threshold == 5.5
    assert alarm.day == date(2024, 12, 31)
    assert alarm.day - timedelta(days=WINDOW) < alarm.since <= alarm.day


def test_a_unit_that_changes_everywhere_is_a_level_of_all(panel: Panel, watch: Watch) -> None:
    found = the(watch, spoilt(panel, slice(None), CHANNELS["wind"], lambda values: values / 3.6))
    assert ("all stations", "wind", "level") in {(alarm.station, alarm.channel, alarm.kind) for alarm in found}
    assert found[0].station == ALL or "Sydney" not in {alarm.station for alarm in found}


def test_a_value_that_rests_is_stuck_and_fog_is_not(panel: Panel, watch: Watch) -> None:
    days = STUCK_DAYS["humidity_3pm"]
    found = the(watch, spoilt(panel, SYDNEY, ("humidity_3pm",), lambda values: values * 0 + 61.5, days))
    (alarm,) = [alarm for alarm in found if alarm.kind == "stuck"]
    assert (alarm.station, alarm.channel, alarm.statistic) == ("Sydney", "humidity_3pm", days)
    for values, length in ((61.5, days - 1), (100.0, days)):
        found = the(watch, spoilt(panel, SYDNEY, ("humidity_3pm",), lambda given, v=values: given * 0 + v, length))
        assert [alarm for alarm in found if alarm.kind == "stuck"] == []


def test_a_field_that_used_to_come_is_missed_and_one_that_never_did_is_not(panel: Panel, watch: Watch) -> None:
    def gone(days: int) -> list[Alarm]:
        spoiled = spoilt(panel, SYDNEY, ("humidity_3pm",), lambda values: values * np.nan, days)
        return [alarm for alarm in the(watch, spoiled) if (alarm.station, alarm.kind) == ("Sydney", "vanished")]

    (alarm,) = gone(5)
    assert (alarm.channel, alarm.statistic, alarm.since) == ("humidity_3pm", 5.0, date(2024, 12, 31))
    assert gone(4) == []
    assert gone(BASE) == [], "it is known by now"


def test_a_silent_station_is_one_alarm(panel: Panel, watch: Watch) -> None:
    found = the(watch, spoilt(panel, SYDNEY, NAMES, lambda values: values * np.nan))
    assert [(alarm.channel, alarm.kind) for alarm in found if alarm.station == "Sydney"] == [(EVERY, "vanished")]


def test_swapped_stations_no_longer_follow_their_neighbours(panel: Panel, watch: Watch) -> None:
    recent = panel[TAUGHT:]
    values, perth = recent.values.copy(), STATIONS.index("Perth")
    values[-WINDOW:, [SYDNEY, perth]] = values[-WINDOW:, [perth, SYDNEY]]
    found = the(watch, Panel(recent.first, values))
    assert {"Sydney", "Perth"} & {alarm.station for alarm in found if alarm.kind in ("shift", "scatter", "jumble")}


def test_only_the_station_at_fault_is_named(panel: Panel, watch: Watch) -> None:
    found = the(watch, spoilt(panel, SYDNEY, CHANNELS["temperature"], lambda values: values + 8))
    named = {alarm.station for alarm in found if alarm.kind == "shift"}
    assert named == {"Sydney"}, "its neighbours are compared with it, and would seem too cold"


def test_without_enough_to_compare_there_is_no_verdict(panel: Panel, watch: Watch) -> None:
    assert watch.alarms(panel[-10:]) is None, "no base"
    assert Watch(panel[:200]).alarms(panel[TAUGHT:]) is None, "not a year of reference"
