from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from meteo.archive.snapshot import read_snapshot, write_snapshot
from meteo.features.climatology import Climate
from meteo.features.matrix import feature_matrix
from meteo.features.neighbours import Surroundings
from meteo.observation import Observations, rain_tomorrow
from preprocessing.tables import write_features
from train.dataset import Dataset

Build = Callable[..., Observations]


def test_a_snapshot_comes_back_the_same(weather: Build, tmp_path: Path) -> None:
    given = weather(days=30)
    write_snapshot(given, True, tmp_path / "snapshot.parquet")
    found, simulated = read_snapshot(tmp_path / "snapshot.parquet")
    np.testing.assert_array_equal(found.values, given.values)
    np.testing.assert_array_equal(found.day, given.day)
    assert found.station.tolist() == given.station.tolist()
    assert simulated is True


def test_equal_observations_are_equal_bytes(weather: Build, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_snapshot(weather(days=30), False, tmp_path / name)
        write_features(weather(days=30), ("2020-01-20", "2020-01-25"), tmp_path / f"{name} features")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a features").read_bytes() == (tmp_path / "b features").read_bytes()


def test_training_reads_the_features_and_labels_that_were_written(weather: Build, tmp_path: Path) -> None:
    given = weather(days=100)
    write_snapshot(given, False, tmp_path / "snapshot.parquet")
    write_features(given, ("2020-03-01", "2020-03-20"), tmp_path / "features.parquet")
    found = Dataset.read(tmp_path)
    label = rain_tomorrow(given.station, given.day, given.column("rainfall"))
    test = (given.day >= np.datetime64("2020-03-20")) & ~np.isnan(label)
    np.testing.assert_array_equal(found.test.label, label[test])
    past = given.day < np.datetime64("2020-03-20")
    climate = Climate.fit(given[past])
    np.testing.assert_array_equal(found.climate.rain, climate.rain)
    expected = feature_matrix(given, Surroundings.of(given), climate)
    np.testing.assert_array_equal(found.test.matrix, expected[test])
    assert len(found.past) == past.sum()
    np.testing.assert_array_equal(found.test.observations.values, given.values[test])
    assert len(found.train) + len(found.validation) + len(found.test) == 198
    assert found.simulated is False


def test_a_row_without_a_label_has_none_in_the_file(weather: Build, tmp_path: Path) -> None:
    write_features(weather(days=10), ("2020-01-05", "2020-01-08"), tmp_path / "f")
    assert pq.read_table(tmp_path / "f")["rain_tomorrow"].null_count == 2
