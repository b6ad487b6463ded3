"""What training reads: the rows of features.parquet that have a label, with the observations they came from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from meteo import features
from meteo.errors import NotEnoughData
from meteo.observation import FIELDS, Floats, Observations
from meteo.snapshot import read_snapshot

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Labelled rows of one period: observations (n), X (n, d) and label (n,)."""

    observations: Observations
    matrix: Matrix
    label: Floats

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True)
class Dataset:
    train: Part
    validation: Part
    test: Part
    simulated: bool

    @classmethod
    def read(cls, folder: Path) -> "Dataset":
        """snapshot.parquet and features.parquet of a workspace; NotEnoughData where they are not there yet."""
        try:
            observations, simulated = read_snapshot(folder / "snapshot.parquet")
            table = pq.read_table(folder / "features.parquet")
        except FileNotFoundError as error:
            raise NotEnoughData(f"{folder} holds no training data: run `python -m preprocessing` first") from error
        matrix = np.column_stack([table[name].to_numpy() for name in features.NAMES]).astype(np.float32)
        label = table["rain_tomorrow"].to_numpy().astype(float)
        part = np.array(table["part"].to_pylist())
        train, validation, test = (
            _labelled(observations, matrix, label, part == name) for name in ("train", "validation", "test")
        )
        return cls(train, validation, test, simulated)


def masked(part: Part, share: float, generator: np.random.Generator) -> Part:
    """Rows of `part` with fields left out at random, `share` of its number, to learn from beside the full rows.

    People fill in a few fields: each row keeps every field with a chance drawn for that row, and one in three keeps
    the answer "did it rain today" without the amount.
    """
    rows = generator.choice(len(part), size=int(len(part) * share), replace=share > 1)
    keep_chance = generator.uniform(0.05, 0.95, size=(len(rows), 1))
    keep = generator.uniform(size=(len(rows), len(FIELDS))) < keep_chance
    chosen = part.observations[rows]
    values = np.where(keep, chosen.values, np.nan)
    sparse = Observations(chosen.station, chosen.day, values)
    known = features.rain_today(chosen)
    told = ~np.isnan(sparse.column("rainfall")) | (generator.uniform(size=len(rows)) < 1 / 3)
    return Part(sparse, features.features(sparse, np.where(told, known, np.nan)), part.label[rows])


def _labelled(observations: Observations, matrix: Matrix, label: Floats, chosen: NDArray[np.bool_]) -> Part:
    rows = np.flatnonzero(chosen & ~np.isnan(label))
    return Part(observations[rows], matrix[rows], label[rows])
