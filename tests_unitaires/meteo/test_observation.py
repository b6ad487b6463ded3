from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from meteo.observation import (
    BY_NAME,
    COMPASS,
    FIELDS,
    Observations,
    compass_name,
    compass_sector,
    from_items,
    rain_period,
    rain_tomorrow,
)

Build = Callable[..., Observations]


def label(rows: Observations) -> list[float]:
    found: list[float] = rain_tomorrow(rows.station, rows.day, rows.column("rainfall")).tolist()
    return found


def test_the_label_is_the_next_days_rain(rows: Build) -> None:
    found = label(rows(("Sydney", "2020-01-01", {"rainfall": 9}), ("Sydney", "2020-01-02", {"rainfall": 0}),
                       ("Sydney", "2020-01-03", {"rainfall": 2})))  # fmt: skip
    assert found[:2] == [0.0, 1.0]
    assert np.isnan(found[2])


@pytest.mark.parametrize(("rainfall", "wet"), [(0.0, 0.0), (1.0, 0.0), (1.1, 1.0), (1.2, 1.0)])
def test_a_day_is_wet_above_one_millimetre_and_not_at_it(rows: Build, rainfall: float, wet: float) -> None:
    found = label(rows(("Sydney", "2020-01-01", {}), ("Sydney", "2020-01-02", {"rainfall": rainfall})))
    assert found[0] == wet


def test_a_gap_in_the_calendar_gives_no_label(rows: Build) -> None:
    found = label(rows(("Sydney", "2020-01-01", {"rainfall": 0}), ("Sydney", "2020-01-03", {"rainfall": 9})))
    assert np.isnan(found).all()


def test_missing_rain_the_next_day_gives_no_label(rows: Build) -> None:
    found = label(rows(("Sydney", "2020-01-01", {"rainfall": 0}), ("Sydney", "2020-01-02", {"temp_3pm": 20})))
    assert np.isnan(found[0])


def test_another_stations_next_day_is_not_the_label(rows: Build) -> None:
    found = label(rows(("Perth", "2020-01-01", {"rainfall": 0}), ("Sydney", "2020-01-02", {"rainfall": 9})))
    assert np.isnan(found).all()


def test_the_label_does_not_depend_on_the_order_of_rows(weather: Build) -> None:
    ordered = weather()
    shuffle = np.random.default_rng(0).permutation(len(ordered))
    np.testing.assert_array_equal(np.array(label(ordered[shuffle])), np.array(label(ordered))[shuffle])


def test_no_rows_have_no_labels() -> None:
    assert label(Observations.empty()) == []


def test_weatheraus_labels_at_gaps_are_rederived(history: object, rows: Build) -> None:
    """weatherAUS carries, at gaps, the label of a much later day; ours has none there and agrees elsewhere."""
    import pandas as pd

    frame = pd.read_csv(str(history), usecols=["Date", "Location", "Rainfall", "RainTomorrow"])
    day = frame["Date"].to_numpy("datetime64[D]")
    ours = rain_tomorrow(frame["Location"].to_numpy(str), day, frame["Rainfall"].to_numpy(float))
    theirs = frame["RainTomorrow"].map({"Yes": 1.0, "No": 0.0}).to_numpy(float)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    assert (ours[both] == theirs[both]).mean() > 0.9999
    assert (np.isnan(ours) & ~np.isnan(theirs)).sum() > 50


def test_the_forecast_period_is_nine_to_nine_on_the_stations_clock() -> None:
    start, end = rain_period(date(2024, 7, 1), ZoneInfo("Australia/Darwin"))
    assert start.isoformat() == "2024-07-01T09:00:00+09:30"
    assert end.isoformat() == "2024-07-02T09:00:00+09:30"


def test_the_forecast_period_follows_daylight_saving() -> None:
    start, end = rain_period(date(2024, 10, 5), ZoneInfo("Australia/Sydney"))
    assert (start.isoformat(), end.isoformat()) == ("2024-10-05T09:00:00+10:00", "2024-10-06T09:00:00+11:00")


def test_compass_points_go_round_clockwise_from_north() -> None:
    assert [compass_sector(name) for name in ("N", "E", "S", "W", "NNW")] == [0, 4, 8, 12, 15]
    assert [compass_name(sector) for sector in range(16)] == list(COMPASS)


def test_an_unknown_compass_point_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'NORTH' is not one of the 16 compass points N, NNE"):
        compass_sector("NORTH")


def test_limits_hold_the_records_of_australia_and_refuse_wrong_units() -> None:
    assert BY_NAME["max_temp"].accepts(50.7)
    assert BY_NAME["wind_gust_speed"].accepts(408)
    assert BY_NAME["rainfall"].accepts(907)
    assert not BY_NAME["temp_9am"].accepts(293.15)
    assert not BY_NAME["pressure_9am"].accepts(101_325)
    assert not BY_NAME["humidity_3pm"].accepts(100.5)


def test_the_limits_themselves_are_taken() -> None:
    humidity = BY_NAME["humidity_3pm"]
    assert [humidity.accepts(value) for value in (-0.1, 0, 100, 100.1)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ("rainfall", " 1.2 ", 1.2),
        ("wind_speed_9am", "Calm", 0.0),
        ("wind_dir_9am", "NNW", 15.0),
        ("min_temp", "-3", -3.0),
    ],
)
def test_a_cell_is_read_as_its_field_means_it(field: str, cell: str, value: float) -> None:
    assert BY_NAME[field].read(cell) == value


@pytest.mark.parametrize("cell", ["", " ", "NA"])
def test_a_blank_cell_is_missing_and_not_zero(cell: str) -> None:
    assert np.isnan(BY_NAME["rainfall"].read(cell))


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ("wind_gust_speed", "Calm"),
        ("rainfall", "Calm"),
        ("rainfall", "trace"),
        ("rainfall", "calm"),
        ("rainfall", "na"),
        ("rainfall", "nan"),
        ("rainfall", "1e400"),
        ("wind_speed_9am", "CALM"),
    ],
)
def test_a_cell_that_is_no_number_is_refused_and_told(field: str, cell: str) -> None:
    with pytest.raises(ValueError, match=f"'{cell}' is not a number"):
        BY_NAME[field].read(cell)


def test_items_come_back_as_they_were(rows: Build) -> None:
    given = rows(("Sydney", "2020-01-01", {"rainfall": 1, "wind_dir_9am": "NNW"}), ("Perth", "2020-01-02", {}))
    columns = list(zip(*(item.values() for item in given.items()), strict=True))
    back = from_items(given.station.tolist(), given.day.tolist(), columns)
    np.testing.assert_array_equal(back.values, given.values)
    assert back.values.dtype == float
    assert (back.station.tolist(), back.day.tolist()) == (given.station.tolist(), given.day.tolist())
    with pytest.raises(ValueError, match="zip"):
        from_items(given.station.tolist(), given.day.tolist(), columns[:-1])


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="do not describe the same rows"):
        Observations(np.array(["Sydney"]), np.array([], "datetime64[D]"), np.empty((1, len(FIELDS))))
