from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from meteo.features import station_row
from meteo.features.climatology import NAMES, Climate
from meteo.observation import Observations

Build = Callable[..., Observations]


def test_an_anomaly_is_the_reading_less_the_months_mean(rows: Build) -> None:
    january = [("Sydney", f"2020-01-{day:02}", {"humidity_3pm": 40.0 + day % 2 * 20}) for day in range(1, 31)]
    given = rows(*january, ("Sydney", "2020-02-01", {"humidity_3pm": 90.0}))
    found = Climate.fit(given).columns(given.station, given.day, station_row.columns(given))
    column = found[:, NAMES.index("humidity_3pm_anomaly")]
    assert column[0] == pytest.approx(10)
    assert column[1] == pytest.approx(-10)
    assert np.isnan(column[-1]), "one reading is no climate"


def test_rain_is_how_often_it_followed_drawn_to_the_overall_rate(rows: Build) -> None:
    days = np.arange("2020-01-01", "2020-04-01", dtype="datetime64[D]").astype(str).tolist()
    given = rows(*(("Sydney", day, {"rainfall": 5.0 if day.startswith("2020-01") else 0.0}) for day in days))
    climate = Climate.fit(given)
    wet = climate.columns(given.station, given.day, station_row.columns(given))[:, NAMES.index("rain_climate")]
    rate = 30 / 90
    assert wet[0] == pytest.approx((30 + 10 * rate) / (31 + 10))
    assert wet[-1] == pytest.approx(10 * rate / (30 + 10))
    assert climate.rate("Sydney", date(2021, 1, 5)) == wet[0]


def test_it_comes_back_the_same_from_its_file(weather: Build) -> None:
    climate = Climate.fit(weather())
    found = Climate.parse(climate.text())
    np.testing.assert_array_equal(found.usual, climate.usual)
    np.testing.assert_array_equal(found.rain, climate.rain)


def test_a_file_of_other_stations_is_refused(weather: Build) -> None:
    text = Climate.fit(weather()).text().replace('"Perth"', '"Atlantis"')
    with pytest.raises(ValueError, match="other stations"):
        Climate.parse(text)
