import numpy as np
import pytest

from meteo.features import neighbours, station_row
from meteo.features.matrix import FEATURE_NAMES
from meteo.observation import INDEX, Observations
from train.dataset import Dataset, Part
from train.masking import AFTERNOON, MORNING, masked

AROUND = slice(len(station_row.NAMES) + 9, len(station_row.NAMES) + 9 + len(neighbours.NAMES))


@pytest.fixture(scope="module")
def sparse(dataset: Dataset) -> Part:
    return masked(dataset.past, dataset.train, dataset.climate, 2.0, np.random.default_rng(1))


def test_masked_rows_keep_their_label_and_lose_fields(dataset: Dataset, sparse: Part) -> None:
    assert len(sparse) == 2 * len(dataset.train)
    known_before = np.isfinite(dataset.train.observations.values).mean()
    assert 0.3 * known_before < np.isfinite(sparse.observations.values).mean() < 0.8 * known_before
    assert abs(sparse.label.mean() - dataset.train.label.mean()) < 0.05
    kept = np.isfinite(sparse.observations.values)
    assert kept.sum(axis=1).min() <= 1
    assert kept.sum(axis=1).max() == np.isfinite(dataset.train.observations.values).sum(axis=1).max()


def test_nothing_is_made_up(dataset: Dataset, sparse: Part) -> None:
    whole = dataset.train.observations
    truth = dict(zip(_keys(whole), whole.values, strict=True))
    for key, values in zip(_keys(sparse.observations), sparse.observations.values, strict=True):
        kept = np.isfinite(values)
        np.testing.assert_array_equal(values[kept], truth[key][kept])


def test_some_rows_have_all_some_part_and_some_none_of_their_surroundings(sparse: Part) -> None:
    known = np.isfinite(sparse.matrix[:, AROUND]).mean(axis=1)
    assert 0.1 < (known == 0).mean() < 0.8
    assert len(np.unique(known)) > 2


def test_some_masked_rows_know_that_it_rained_but_not_how_much(sparse: Part) -> None:
    rained = sparse.matrix[:, FEATURE_NAMES.index("rain_today")]
    amount = sparse.observations.column("rainfall")
    assert 0.05 < (np.isfinite(rained) & np.isnan(amount)).mean() < 0.3
    assert np.isfinite(rained[np.isfinite(amount)]).all()


def test_the_hours_of_the_day_know_what_has_been_read_by_then() -> None:
    assert MORNING[[INDEX["temp_9am"], INDEX["rainfall"], INDEX["min_temp"]]].all()
    assert not MORNING[[INDEX["temp_3pm"], INDEX["max_temp"], INDEX["sunshine"]]].any()
    assert AFTERNOON[[INDEX["temp_9am"], INDEX["pressure_3pm"]]].all()
    assert not AFTERNOON[[INDEX["max_temp"], INDEX["wind_gust_speed"], INDEX["sunshine"]]].any()


def test_masking_is_the_same_for_the_same_seed(dataset: Dataset) -> None:
    one, two = (masked(dataset.past, dataset.train, dataset.climate, 0.5, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, two.matrix)


def _keys(rows: Observations) -> list[tuple[str, str]]:
    return list(zip(rows.station.tolist(), rows.day.astype(str).tolist(), strict=True))
