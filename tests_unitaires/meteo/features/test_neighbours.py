from collections.abc import Callable

import numpy as np
import pytest

from meteo.features.neighbours import LOCAL, NAMES, Surroundings, great_circle
from meteo.features.station_row import STATIONS
from meteo.observation import Observations

Build = Callable[..., Observations]
DAY = np.array(["2020-01-02"], "datetime64[D]")


def around(station: str, stored: Observations, day: np.ndarray = DAY) -> dict[str, float]:
    columns = Surroundings.of(stored).columns(np.array([station]), day)
    return dict(zip(NAMES, columns[0].tolist(), strict=True))


@pytest.mark.parametrize(
    ("here", "there", "kilometres", "degrees"),
    [((-33.8607, 151.205), (-37.8075, 144.97), 714, 230), ((-31.9192, 115.8728), (-12.4239, 130.8925), 2655, 38)],
)
def test_distances_and_bearings_are_those_of_the_atlas(
    here: tuple[float, float], there: tuple[float, float], kilometres: float, degrees: float
) -> None:
    given = [np.array([np.radians(value)]) for value in (*here, *there)]
    distance, bearing = great_circle(*given)
    assert distance[0] == pytest.approx(kilometres, rel=0.005)
    assert np.degrees(bearing[0]) % 360 == pytest.approx(degrees, abs=1.5)


def test_nothing_of_the_stations_own_row_is_in_it(rows: Build) -> None:
    alone = around("Sydney", rows(("Sydney", "2020-01-02", {"humidity_3pm": 80, "pressure_3pm": 1010})))
    assert np.isnan(list(alone.values())).all()
    told = Surroundings.of(rows(("Sydney", "2020-01-02", {"humidity_3pm": 80})))
    assert told.used(np.array(["Sydney", "Perth"]), np.repeat(DAY, 2)).tolist() == [0, 1]


def test_the_nearer_neighbour_counts_for_more(rows: Build) -> None:
    """Penrith lies 51 km and Newcastle 117 km from Sydney."""
    found = around("Sydney", rows(("Penrith", "2020-01-02", {"humidity_3pm": 40}),
                                  ("Newcastle", "2020-01-02", {"humidity_3pm": 90})))  # fmt: skip
    weights = np.exp(-((np.array([51.0, 117.0]) / 100) ** 2))
    expected = (weights * [40, 90]).sum() / weights.sum()
    assert found["humidity_3pm_near_100_km"] == pytest.approx(expected, abs=0.5)
    assert found["humidity_3pm_near_100_km"] < found["humidity_3pm_near_300_km"] < 65


def test_a_missing_neighbour_is_left_out_and_not_taken_for_zero(rows: Build) -> None:
    found = around("Sydney", rows(("Penrith", "2020-01-02", {"humidity_3pm": 40}), ("Newcastle", "2020-01-02", {})))
    assert found["humidity_3pm_near_100_km"] == pytest.approx(40)
    assert np.isnan(found["humidity_3pm_north_400_km"])
    assert np.isnan(found["rainfall_near_100_km"])


def test_sides_are_told_apart(rows: Build) -> None:
    found = around("Sydney", rows(("Canberra", "2020-01-02", {"pressure_3pm": 1010}),
                                  ("Newcastle", "2020-01-02", {"pressure_3pm": 1000}),
                                  ("Perth", "2020-01-02", {"pressure_3pm": 990})))  # fmt: skip
    assert found["pressure_3pm_west_400_km"] == pytest.approx(1010)
    assert found["pressure_3pm_north_400_km"] == pytest.approx(1000)
    assert np.isnan(found["pressure_3pm_east_400_km"])
    assert found["pressure_3pm_at_Perth"] == 990
    assert np.isnan(found["pressure_3pm_at_Sydney"])


def test_gradients_are_one_side_less_the_other(rows: Build) -> None:
    found = around("Canberra", rows(("Albury", "2020-01-02", {"pressure_3pm": 1010}),
                                    ("Sydney", "2020-01-02", {"pressure_3pm": 1004})))  # fmt: skip
    assert found["pressure_3pm_west_400_km_less_east_400_km"] == pytest.approx(1010 - 1004)
    assert found["pressure_3pm_near_300_km"] > 1004


def test_yesterday_is_the_day_before_and_no_other(rows: Build) -> None:
    stored = rows(("Penrith", "2020-01-01", {"rainfall": 12, "pressure_3pm": 1000}),
                  ("Penrith", "2020-01-02", {"rainfall": 0, "pressure_3pm": 1007}),
                  ("Penrith", "2020-01-04", {"pressure_3pm": 1020}))  # fmt: skip
    second = around("Sydney", stored)
    assert (second["rainfall_near_100_km"], second["rainfall_near_100_km_yesterday"]) == (0, 12)
    assert second["pressure_since_yesterday_at_Penrith"] == 7
    fourth = around("Sydney", stored, np.array(["2020-01-04"], "datetime64[D]"))
    assert np.isnan(fourth["rainfall_near_100_km_yesterday"])
    assert np.isnan(fourth["pressure_since_yesterday_at_Penrith"])


def test_a_day_that_is_not_covered_has_no_surroundings(rows: Build) -> None:
    stored = Surroundings.of(rows(("Penrith", "2020-01-02", {"rainfall": 1})))
    for day in ("2020-01-01", "2020-01-03"):
        given = np.array(["Sydney"]), np.array([day], "datetime64[D]")
        assert np.isnan(stored.columns(*given)).all()
        assert stored.used(*given).tolist() == [0]
    assert np.isnan(Surroundings.nothing().columns(np.array(["Sydney"]), DAY)).all()
    assert Surroundings.of(Observations.empty()).used(np.array(["Sydney"]), DAY).tolist() == [0]


def test_the_names_are_as_many_as_the_columns(weather: Build) -> None:
    found = Surroundings.of(weather(days=3))
    assert found.local.shape[1:] == (len(STATIONS), len(LOCAL))
    assert len(NAMES) == len(LOCAL) + found.map.shape[1]
