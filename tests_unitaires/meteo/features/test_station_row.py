from collections.abc import Callable

import numpy as np
import pytest

from meteo.features.station_row import NAMES, columns, dew_point, wind_components
from meteo.observation import Observations

Build = Callable[..., Observations]


def value(matrix: np.ndarray, name: str, row: int = 0) -> float:
    return float(matrix[row, NAMES.index(name)])


def test_one_row_alone_has_the_same_values_as_in_a_batch(weather: Build) -> None:
    batch = weather()
    alone = np.concatenate([columns(batch[number : number + 1]) for number in range(0, len(batch), 37)])
    np.testing.assert_array_equal(alone.astype(np.float32), columns(batch)[::37].astype(np.float32))


def test_wind_blows_from_where_it_is_named() -> None:
    eastward, northward = wind_components(np.array([12.0, 0.0]), np.array([10.0, 10.0]))
    np.testing.assert_allclose(eastward, [10, 0], atol=1e-9)
    np.testing.assert_allclose(northward, [0, -10], atol=1e-9)


def test_calm_wind_is_zero_though_it_has_no_direction() -> None:
    eastward, northward = wind_components(np.array([np.nan, np.nan]), np.array([0.0, 10.0]))
    assert (eastward[0], northward[0]) == (0, 0)
    assert np.isnan(eastward[1])
    assert np.isnan(northward[1])


@pytest.mark.parametrize(("temperature", "humidity", "expected"), [(20, 50, 9.26), (30, 100, 30.0), (10, 80, 6.71)])
def test_dew_points_are_those_of_the_tables(temperature: float, humidity: float, expected: float) -> None:
    assert dew_point(np.array([temperature]), np.array([humidity]))[0] == pytest.approx(expected, abs=0.02)


def test_humidity_of_zero_still_has_a_dew_point() -> None:
    assert np.isfinite(dew_point(np.array([30.0]), np.array([0.0])))[0]


def test_a_change_needs_both_ends(rows: Build) -> None:
    matrix = columns(rows(("Sydney", "2020-01-01", {"pressure_9am": 1015.0, "pressure_3pm": 1010.5}),
                           ("Sydney", "2020-01-02", {"pressure_9am": 1015.0})))  # fmt: skip
    assert value(matrix, "pressure_change") == pytest.approx(-4.5)
    assert np.isnan(value(matrix, "pressure_change", 1))


def test_rain_today_is_above_one_millimetre_or_as_told(rows: Build) -> None:
    day = rows(("Sydney", "2020-01-01", {"rainfall": 1.0}), ("Sydney", "2020-01-02", {"rainfall": 1.2}),
               ("Sydney", "2020-01-03", {"temp_3pm": 20}))  # fmt: skip
    known = columns(day)[:, NAMES.index("rain_today")]
    np.testing.assert_array_equal(known, [0, 1, np.nan])
    told = columns(day[2:3], np.array([1.0]))
    assert value(told, "rain_today") == 1


def test_the_season_returns_after_a_year_and_turns_after_half(rows: Build) -> None:
    matrix = columns(rows(("Sydney", "2021-01-01", {}), ("Sydney", "2022-01-01", {}), ("Sydney", "2021-07-02", {})))
    assert value(matrix, "season_cos", 0) == value(matrix, "season_cos", 1) == 1
    assert value(matrix, "season_cos", 2) == pytest.approx(-1, abs=0.001)


def test_a_station_brings_its_place(rows: Build) -> None:
    matrix = columns(rows(("Hobart", "2021-01-01", {})))
    assert value(matrix, "latitude") == pytest.approx(-42.8897, abs=1e-4)
    assert value(matrix, "elevation_m") == pytest.approx(50.5)


def test_a_missing_field_makes_only_its_own_features_missing(weather: Build) -> None:
    full = weather(days=1, stations=("Sydney",))
    missing = {name for name, entry in zip(NAMES, columns(full)[0], strict=True) if np.isnan(entry)}
    assert "humidity_3pm" not in missing
    assert {"temp_9am", "dew_point_9am", "temp_change"} <= missing
