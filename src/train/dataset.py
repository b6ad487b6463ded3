"""What training reads: the rows of features.parquet that have a label, with the observations they came from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from meteo.archive.snapshot import read_snapshot
from meteo.errors import NotEnoughData
from meteo.features.climatology import Climate
from meteo.features.matrix import FEATURE_NAMES
from meteo.models.card import CLIMATE
from meteo.observation import Floats, Observations

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Labelled rows of one period: observations (n), X (n, d) and label (n,)."""

    observations: Observations
    matrix: Matrix
    label: Floats

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: "slice | NDArray[np.bool_]") -> "Part":
        return Part(self.observations[rows], self.matrix[rows], self.label[rows])

    def __add__(self, other: "Part") -> "Part":
        return Part(
            Observations.concatenate([self.observations, other.observations]),
            np.concatenate([self.matrix, other.matrix]),
            np.concatenate([self.label, other.label]),
        )


@dataclass(frozen=True)
class Dataset:
    """The three periods; `past` are all observations before the test period, with a label or not, and `climate` was
    fitted on them."""

    train: Part
    validation: Part
    test: Part
    past: Observations
    climate: Climate
    simulated: bool

    @classmethod
    def read(cls, folder: Path) -> "Dataset":
        """The snapshot, the features and the climate in a folder; NotEnoughData where they are not there yet."""
        try:
            observations, simulated = read_snapshot(folder / "snapshot.parquet")
            table = pq.read_table(folder / "features.parquet")
            climate = Climate.parse((folder / CLIMATE).read_bytes())
        except FileNotFoundError as error:
            raise NotEnoughData(f"{folder} holds no training data: run `python -m preprocessing` first") from error
        matrix = np.column_stack([table[name].to_numpy() for name in FEATURE_NAMES]).astype(np.float32)
        label = table["rain_tomorrow"].to_numpy().astype(float)
        part = np.array(table["part"].to_pylist())
        train, validation, test = (
            _labelled(observations, matrix, label, part == name) for name in ("train", "validation", "test")
        )
        return cls(train, validation, test, observations[part != "test"], climate, simulated)


def _labelled(observations: Observations, matrix: Matrix, label: Floats, chosen: NDArray[np.bool_]) -> Part:
    rows = np.flatnonzero(chosen & ~np.isnan(label))
    return Part(observations[rows], matrix[rows], label[rows])
