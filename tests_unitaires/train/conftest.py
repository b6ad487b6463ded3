from collections.abc import Callable

import numpy as np
import pytest

from meteo import features
from meteo.climate import Climate
from meteo.observation import Observations, rain_tomorrow
from meteo.surroundings import Surroundings
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
        return Part(rows[chosen], features.features(rows[chosen], around, climate), label[chosen])

    return Dataset(part(0, 500), part(500, 600), part(600, 730), past, climate, simulated=True)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe("xgboost", {"max_depth": 3, "eta": 0.15}, seed=1, masked_share=0.5, minimum_rows=500)
