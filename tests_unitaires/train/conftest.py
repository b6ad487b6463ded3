from collections.abc import Callable

import numpy as np
import pytest

from meteo.features.climatology import Climate
from meteo.features.matrix import feature_matrix
from meteo.features.neighbours import Surroundings
from meteo.observation import Observations, rain_tomorrow
from train.dataset import Dataset, Part
from train.fit import Recipe


@pytest.fixture(scope="session")
def dataset(weather: Callable[..., Observations]) -> Dataset:
    """Two years at two stations: the first 500 days to train on, 100 to validate, the rest to test."""
    rows = weather(days=730)
    label = rain_tomorrow(rows.station, rows.day, rows.column("rainfall"))
    past = rows[rows.day < rows.day.min() + 600]
    around, climate = Surroundings.of(rows), Climate.fit(past)
    age = (rows.day - rows.day.min()).astype(int)

    def part(first: int, last: int) -> Part:
        chosen = np.flatnonzero((age >= first) & (age < last) & ~np.isnan(label))
        return Part(rows[chosen], feature_matrix(rows[chosen], around, climate), label[chosen])

    return Dataset(part(0, 500), part(500, 600), part(600, 730), past, climate, simulated=True)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe("xgboost", {"max_depth": 3, "eta": 0.15}, seed=1, masked_share=0.5, minimum_rows=500)
