from pathlib import Path

import numpy as np
import pytest

from meteo.archive.snapshot import read_snapshot, write_snapshot
from meteo.observation import INDEX, NAMES, Observations


@pytest.fixture
def rows() -> Observations:
    values = np.full((3, len(NAMES)), np.nan)
    values[0, INDEX["rainfall"]], values[1, INDEX["wind_dir_9am"]], values[2, INDEX["temp_3pm"]] = 1.2, 15, -3.4
    days = np.array(["2017-06-24", "2017-06-25", "2016-02-29"], "datetime64[D]")
    return Observations(np.array(["Sydney", "Sydney", "Uluru"]), days, values)


@pytest.mark.parametrize("simulated", [True, False])
def test_what_is_read_is_what_was_written(rows: Observations, tmp_path: Path, simulated: bool) -> None:
    write_snapshot(rows, simulated, tmp_path / "snapshot.parquet")
    read, said = read_snapshot(tmp_path / "snapshot.parquet")
    assert said is simulated
    assert read.station.tolist() == rows.station.tolist()
    assert (read.day == rows.day).all()
    np.testing.assert_array_equal(read.values, rows.values)


def test_equal_data_are_equal_bytes_and_nothing_else_is_left(rows: Observations, tmp_path: Path) -> None:
    for name in ("one.parquet", "two.parquet"):
        write_snapshot(rows, False, tmp_path / name)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "two.parquet"]
