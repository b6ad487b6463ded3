"""The replay that calibrates the alarms."""

from datetime import date

import numpy as np
import pytest

from ingest.demo.climate import Climate
from ingest.demo.weather import Weather
from meteo.features.station_row import STATIONS
from meteo.observation import INDEX
from monitoring import drift_backtest
from monitoring.drift import Watch
from monitoring.spatial_residuals import CHANNELS, Panel

DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="module")
def panel() -> Panel:
    return Panel.of(Weather(Climate.load()).days(date(2023, 1, 2), date(2024, 12, 31)))


@pytest.fixture(scope="module")
def watch(panel: Panel) -> Watch:
    return Watch(panel[:560])


def test_alarms_of_one_station_within_a_fortnight_are_one(panel: Panel, watch: Watch) -> None:
    start, end = panel.days[640], panel.days[-1]
    calm = drift_backtest.quiet(watch, panel, start, end)
    assert (calm.days, calm.alarms, calm.per_90_days) == (90, sum(calm.by_station.values()), calm.alarms)
    assert calm.alarms <= 3
    assert "Sydney" not in calm.by_station
    faulty = panel.values.copy()
    place = STATIONS.index("Sydney")
    for day in (650, 700):
        faulty[day : day + 7, place, [INDEX[name] for name in CHANNELS["wind"]]] /= 3.6
    cried = drift_backtest.quiet(watch, Panel(panel.first, faulty), start, end)
    assert (cried.alarms, cried.by_station) == (calm.alarms + 2, {**calm.by_station, "Sydney": 2})


@pytest.mark.parametrize(
    ("fault", "rate"),
    [("wind in m/s instead of km/h", 0.8), ("humidity stuck at one value", 0.8), ("a field vanishes", 0.8)],
)
def test_faults_are_found_where_they_are_put(panel: Panel, watch: Watch, fault: str, rate: float) -> None:
    (found,) = drift_backtest.detections(watch, panel, panel.days[640], 5, seed=1, faults=(fault,))
    assert (found.fault, found.trials) == (fault, 5)
    assert found.rate >= rate
    assert found.found + sum(found.missed.values()) == 5
    assert found.median_delay is not None
    assert 1 <= found.median_delay <= 7


def test_faults_change_what_they_say(panel: Panel) -> None:
    generator = np.random.default_rng(0)
    week, places = panel.values[-7:], np.array([3, 8])

    def spoilt(name: str) -> np.ndarray:
        values = week.copy()
        drift_backtest.FAULTS[name][0](values, places, generator)
        return values

    pressure = [INDEX[name] for name in CHANNELS["pressure"]]
    assert np.nanmean(spoilt("pressure +3 hPa")[:, 3, pressure] - week[:, 3, pressure]) == pytest.approx(3)
    humidity = spoilt("humidity stuck at one value")[:, 3, INDEX["humidity_3pm"]]
    assert len(np.unique(humidity[~np.isnan(humidity)])) == 1
    assert np.nanmax(spoilt("rain gauge stuck at 0")[:, 3, INDEX["rainfall"]]) == 0
    swapped = spoilt("two stations swapped")
    assert np.array_equal(swapped[:, 3], week[:, 8], equal_nan=True)
    assert np.array_equal(swapped[:, 8], week[:, 3], equal_nan=True)
    gone = np.isnan(spoilt("a field vanishes")[:, 3]).all(axis=0) & ~np.isnan(week[:, 3]).all(axis=0)
    assert gone.sum() == 1
