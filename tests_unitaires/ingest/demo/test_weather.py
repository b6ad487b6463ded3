from datetime import date

import numpy as np
import pytest

from ingest.demo.climate import RAIN, Climate
from ingest.demo.weather import Weather, day_length
from meteo.features import station_row
from meteo.observation import FIELDS, INDEX, Floats, Observations, rain_tomorrow


@pytest.fixture(scope="module")
def climate() -> Climate:
    return Climate.load()


@pytest.fixture(scope="module")
def years(climate: Climate) -> Observations:
    return Weather(climate).days(date(2024, 1, 1), date(2025, 12, 31))


def column(rows: Observations, name: str) -> Floats:
    return rows.values[:, INDEX[name]]


def test_the_same_day_is_the_same_whenever_it_is_asked_for(climate: Climate) -> None:
    one, other = Weather(climate), Weather(climate)
    early = one.days(date(2024, 3, 1), date(2024, 3, 31))
    other.days(date(2026, 1, 1), date(2026, 1, 2))
    again = other.days(date(2024, 3, 10), date(2024, 4, 2))
    both = early.day >= np.datetime64("2024-03-10")
    same = again.day <= np.datetime64("2024-03-31")
    np.testing.assert_array_equal(early.values[both], again.values[same])


def test_another_seed_is_other_weather(climate: Climate) -> None:
    one, other = (Weather(climate, seed).days(date(2024, 3, 1), date(2024, 3, 2)) for seed in (1, 2))
    assert not np.array_equal(one.values, other.values, equal_nan=True)


def test_readings_never_contradict_each_other(years: Observations) -> None:
    for field, values in zip(FIELDS, years.values.T, strict=True):
        assert field.low <= np.nanmin(values), field.name
        assert np.nanmax(values) <= field.high, field.name

    def never(wrong: np.ndarray) -> bool:
        return not wrong.any()

    for hour in ("9am", "3pm"):
        temperature = column(years, f"temp_{hour}")
        assert never(column(years, "min_temp") > temperature)
        assert never(column(years, "max_temp") < temperature)
        speed, sector = column(years, f"wind_speed_{hour}"), column(years, f"wind_dir_{hour}")
        assert never(column(years, "wind_gust_speed") <= speed)
        assert never((speed == 0) & ~np.isnan(sector))
    assert never(np.abs(column(years, "rainfall") * 5 % 1 - 0.5) < 0.49)


def test_the_sun_shines_no_longer_than_the_day() -> None:
    june, december = day_length(np.array(["2024-06-21", "2024-12-21"], "datetime64[D]"), np.array([-42.9]))[:, 0]
    assert june == pytest.approx(9.0, abs=0.2)
    assert december == pytest.approx(15.0, abs=0.2)


def test_it_rains_as_often_as_at_the_real_stations(climate: Climate, years: Observations) -> None:
    """The wet threshold's harmonics are the fitted frequencies; rain of more than 0.2 mm is what they are of."""
    from scipy.special import ndtr

    names = climate.stations.tolist()
    for name in ("Cairns", "Sydney", "Perth", "Uluru"):
        rain = column(years, "rainfall")[years.station == name]
        fitted = 1 - ndtr(climate.wet[names.index(name), 0])
        assert np.nanmean(rain > 0) == pytest.approx(fitted, abs=0.07)


def test_rain_comes_in_spells_and_over_regions(years: Observations) -> None:
    label = rain_tomorrow(years.station, years.day, column(years, "rainfall"))
    wet = column(years, "rainfall") > 1
    assert np.nanmean(label[wet]) > 1.8 * np.nanmean(label[~wet])

    def rain(name: str) -> Floats:
        wet_days: Floats = (np.nan_to_num(column(years, "rainfall")[years.station == name]) > 1).astype(float)
        return wet_days

    near = np.corrcoef(rain("Sydney"), rain("SydneyAirport"))[0, 1]
    far = np.corrcoef(rain("Sydney"), rain("Perth"))[0, 1]
    assert near > 0.4 > abs(far) + 0.2


def test_seasons_are_those_of_the_place(years: Observations) -> None:
    month = years.day.astype("datetime64[M]").astype(int) % 12 + 1
    darwin, perth = years.station == "Darwin", years.station == "Perth"
    rain, heat = column(years, "rainfall"), column(years, "max_temp")
    assert np.nanmean(rain[darwin & (month == 1)]) > 10 * np.nanmean(rain[darwin & (month == 7)])
    assert np.nanmean(rain[perth & (month == 7)]) > 3 * np.nanmean(rain[perth & (month == 1)])
    assert np.nanmean(heat[perth & (month == 1)]) > np.nanmean(heat[perth & (month == 7)]) + 8


def test_gaps_are_as_frequent_as_the_real_ones(climate: Climate, years: Observations) -> None:
    place = climate.stations.tolist().index("Albury")
    missing = np.isnan(years.values[years.station == "Albury"]).mean(axis=0)
    known = np.array([not field.compass for field in FIELDS])
    np.testing.assert_allclose(missing[known], climate.missing[place][known], atol=0.05)
    assert (climate.missing > 0.99).any()


def test_a_model_learns_from_it_with_skill_of_the_real_order(years: Observations) -> None:
    """On real history the same features reach .89."""
    import xgboost
    from sklearn.metrics import roc_auc_score

    label = rain_tomorrow(years.station, years.day, column(years, "rainfall"))
    matrix = station_row.columns(years)
    past = ~np.isnan(label) & (years.day < np.datetime64("2025-03-01"))
    later = ~np.isnan(label) & (years.day >= np.datetime64("2025-03-01"))
    params = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.1, "nthread": 1}
    booster = xgboost.train(params, xgboost.DMatrix(matrix[past], label[past]), 100)
    assert 0.85 < roc_auc_score(label[later], booster.predict(xgboost.DMatrix(matrix[later]))) < 0.92


def test_days_before_the_first_are_refused(climate: Climate) -> None:
    with pytest.raises(ValueError, match="simulated days begin after 2023-01-01"):
        Weather(climate).days(date(2022, 12, 31), date(2023, 2, 1))
    assert RAIN == 2
