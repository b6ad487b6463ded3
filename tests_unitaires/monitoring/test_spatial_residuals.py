"""What is left of a reading when its season and the other stations are taken away."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from ingest.demo.climate import Climate
from ingest.demo.weather import Weather
from meteo.features.station_row import STATIONS
from meteo.observation import INDEX, NAMES, Observations
from monitoring.spatial_residuals import CHANNELS, WATCHED, Network, Panel, by_channel, robust_spread

Rows = Callable[..., Observations]
SYDNEY, PERTH = STATIONS.index("Sydney"), STATIONS.index("Perth")


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Two years of demo weather, which has seasons and is shared by stations."""
    return Panel.of(Weather(Climate.load()).days(date(2023, 1, 2), date(2024, 12, 31)))


@pytest.fixture(scope="module")
def network(panel: Panel) -> Network:
    return Network.fit(panel[:600])


def test_a_panel_has_each_reading_in_its_place(rows: Rows) -> None:
    panel = Panel.of(rows(("Perth", "2024-01-03", {"rainfall": 2.0}), ("Sydney", "2024-01-01", {"temp_3pm": 21.5})))
    assert panel.values.shape == (3, len(STATIONS), len(NAMES))
    assert panel.values[2, PERTH, INDEX["rainfall"]] == 2.0
    assert panel.values[0, SYDNEY, INDEX["temp_3pm"]] == 21.5
    assert np.isfinite(panel.values).sum() == 2
    assert panel[1:].days.tolist() == [date(2024, 1, 2), date(2024, 1, 3)]


def test_the_season_is_taken_away(panel: Panel, network: Network) -> None:
    column = WATCHED.index("max_temp")
    raw, left = panel.values[:, SYDNEY, INDEX["max_temp"]], network.anomalies(panel)[:, SYDNEY, column]
    day = np.arange(len(panel))
    angle = 2 * np.pi * day / 365.25

    def wave(values: np.ndarray) -> float:
        known = np.isfinite(values)
        return float(abs(np.corrcoef(values[known], np.cos(angle[known]))[0, 1]))

    assert wave(raw) > 0.6
    assert wave(left) < 0.1
    assert np.nanstd(left[:600]) == pytest.approx(1, abs=0.02)


def test_what_neighbours_share_is_taken_away_and_what_they_do_not_is_left(panel: Panel, network: Network) -> None:
    pressures = [WATCHED.index(name) for name in CHANNELS["pressure"]]
    shared = panel.values.copy()
    shared[700:, :, [INDEX[name] for name in CHANNELS["pressure"]]] += 3.0
    alone = panel.values.copy()
    alone[700:, SYDNEY, [INDEX[name] for name in CHANNELS["pressure"]]] += 3.0
    usual, all_up, one_up = (
        network.departures(Panel(panel.first, values))[700:, SYDNEY][:, pressures]
        for values in (panel.values, shared, alone)
    )
    assert np.nanmean(one_up - usual) > 2 * np.nanmean(all_up - usual) > 0


def test_a_missing_neighbour_is_done_without_and_a_missing_reading_stays_missing(
    panel: Panel, network: Network
) -> None:
    values = panel.values.copy()
    values[650:, PERTH] = np.nan
    values[660, SYDNEY] = np.nan
    found = network.departures(Panel(panel.first, values))
    assert np.isnan(found[650:, PERTH]).all()
    assert np.isnan(found[660, SYDNEY]).all()
    airport = STATIONS.index("PerthAirport")
    known = ~np.isnan(network.departures(panel)[650:, airport])
    assert np.isfinite(found[650:, airport][known]).all()


def test_a_factor_is_a_shift_of_the_wind() -> None:
    weather = Panel.of(Weather(Climate.load()).days(date(2023, 1, 2), date(2023, 12, 31)))
    network = Network.fit(weather)
    slow = weather.values.copy()
    slow[..., INDEX["wind_speed_3pm"]] /= 3.6
    column = WATCHED.index("wind_speed_3pm")
    difference = network.anomalies(weather)[..., column] - network.anomalies(Panel(weather.first, slow))[..., column]
    windy = weather.values[..., INDEX["wind_speed_3pm"]] > 20
    spread = network.spread[:, column]
    assert np.allclose(np.nanmin(np.where(windy, difference * spread, np.nan)), np.log(3.6), atol=0.15)


def test_too_short_a_reference_teaches_nothing(panel: Panel) -> None:
    assert np.isnan(Network.fit(panel[:250]).departures(panel)).all()


def test_channels_are_means_of_what_is_known() -> None:
    values = np.full((1, 1, len(WATCHED)), np.nan)
    values[0, 0, WATCHED.index("humidity_9am")] = 2.0
    values[0, 0, WATCHED.index("temp_9am")], values[0, 0, WATCHED.index("temp_3pm")] = 1.0, 3.0
    found = dict(zip(CHANNELS, by_channel(values)[0, 0], strict=True))
    assert (found["humidity"], found["temperature"]) == (2.0, 2.0)
    assert np.isnan(found["pressure"])


def test_the_robust_spread_of_a_normal_sample_is_its_standard_deviation() -> None:
    sample = np.random.default_rng(0).normal(5, 2, (20_000, 1))
    sample[:200] = 1000.0
    assert robust_spread(sample, 0.25)[0] == pytest.approx(2, rel=0.05)
    assert np.isnan(robust_spread(np.full((5, 1), np.nan), 0.25)[0])


def test_the_spread_of_columns_with_gaps_is_that_of_what_is_known() -> None:
    dice = np.random.default_rng(0)
    values = dice.normal(size=(300, 4, 3))
    values[dice.random(values.shape) < 0.3] = np.nan
    values[:, 1, 2] = np.nan
    low, high = np.nanquantile(values[:, [0, 2, 3]], [0.1, 0.9], axis=0)
    spread = robust_spread(values, 0.1)
    np.testing.assert_allclose(spread[[0, 2, 3]], (high - low) / (2 * 1.2815515655446004))
    assert np.isnan(spread[1, 2])


def test_a_station_with_few_alike_is_told_of_by_them_alone(panel: Panel) -> None:
    """The last station of the table is none of them; a place without a neighbour must not stand for it."""
    column, field, few = WATCHED.index("temp_3pm"), INDEX["temp_3pm"], [SYDNEY, SYDNEY + 1]
    values = panel.values.copy()
    values[..., field] = np.nan
    values[:, few, field] = panel.values[:, few, field]
    values[:, -1, field] = -panel.values[:, SYDNEY, field]
    lonely = Network.fit(Panel(panel.first, values))
    usual = lonely.departures(Panel(panel.first, values))[:, SYDNEY, column]
    values[:, -1, field] += 20
    np.testing.assert_array_equal(lonely.departures(Panel(panel.first, values))[:, SYDNEY, column], usual)
    assert np.isfinite(usual).any()


def test_what_was_learnt_comes_with_the_departures_of_the_reference(panel: Panel) -> None:
    network, departures = Network.fit_transform(panel[:600])
    np.testing.assert_array_equal(departures, network.departures(panel[:600]))
