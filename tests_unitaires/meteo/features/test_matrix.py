from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meteo.features import climatology, neighbours, station_row
from meteo.features.climatology import Climate
from meteo.features.matrix import FEATURE_NAMES, feature_matrix, with_climate
from meteo.features.neighbours import Surroundings
from meteo.observation import Observations

Build = Callable[..., Observations]


def test_every_feature_has_a_name_of_its_own(weather: Build) -> None:
    rows = weather(days=3)
    assert feature_matrix(rows, Surroundings.of(rows), Climate.fit(rows)).shape == (6, len(FEATURE_NAMES))
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)


def test_the_parts_stand_where_their_names_say(weather: Build) -> None:
    rows = weather(days=60)
    around, usual = Surroundings.of(rows), Climate.fit(rows)
    matrix = feature_matrix(rows, around, usual)
    parts: dict[tuple[str, ...], NDArray[Any]] = {
        station_row.NAMES: station_row.columns(rows),
        climatology.NAMES: usual.columns(rows.station, rows.day, station_row.columns(rows)),
        neighbours.NAMES: around.columns(rows.station, rows.day),
    }
    for names, expected in parts.items():
        found = matrix[:, [FEATURE_NAMES.index(name) for name in names]]
        np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_the_pressure_around_is_also_told_relative_to_the_rows_own(rows: Build) -> None:
    stored = rows(("Canberra", "2020-01-02", {"pressure_3pm": 1010}), ("Sydney", "2020-01-02", {"pressure_3pm": 1000}))
    asked = rows(("Sydney", "2020-01-02", {"pressure_3pm": 1004}))
    matrix = feature_matrix(asked, Surroundings.of(stored), Climate.fit(stored))
    assert matrix[0, FEATURE_NAMES.index("pressure_3pm_west_400_km")] == 1010
    assert matrix[0, FEATURE_NAMES.index("pressure_3pm_west_400_km_less_own")] == 6


def test_one_row_alone_has_the_same_features_as_in_a_batch(weather: Build) -> None:
    """With the surroundings of its own day and the day before only, as the API has them."""
    batch = weather(stations=("Sydney", "Perth", "Canberra", "Hobart", "Darwin"), days=200)
    usual = Climate.fit(batch)
    together = feature_matrix(batch, Surroundings.of(batch), usual)
    for number in range(1, len(batch), 37):
        day = batch.day[number]
        near = Surroundings.of(batch[(batch.day <= day) & (batch.day >= day - 1)])
        np.testing.assert_array_equal(feature_matrix(batch[number : number + 1], near, usual)[0], together[number])


def test_another_models_climate_changes_its_columns_only(weather: Build) -> None:
    rows = weather(days=90)
    around, one, two = Surroundings.of(rows), Climate.fit(rows), Climate.fit(rows[rows.day < rows.day.min() + 45])
    corrected = with_climate(feature_matrix(rows, around, one), rows, two)
    np.testing.assert_array_equal(corrected, feature_matrix(rows, around, two))
