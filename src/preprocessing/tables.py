"""features.parquet: the snapshot's rows as station, day, part, rain_tomorrow (null: no label) and X."""

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa

from meteo.archive.snapshot import write_table
from meteo.features.climatology import Climate
from meteo.features.matrix import FEATURE_NAMES, feature_matrix
from meteo.features.neighbours import Surroundings
from meteo.models.card import CLIMATE
from meteo.observation import Observations, rain_tomorrow
from preprocessing.split import parts

_TRANSFORM = (
    ("meteo", "observation.py"),
    ("meteo", "archive/snapshot.py"),
    ("meteo", "features/station_row.py"),
    ("meteo", "features/neighbours.py"),
    ("meteo", "features/climatology.py"),
    ("meteo", "features/matrix.py"),
    ("meteo", "stations.csv"),
    ("preprocessing", "split.py"),
    ("preprocessing", "tables.py"),
)


def write_features(observations: Observations, boundaries: tuple[str, str], path: Path) -> None:
    """`boundaries` are the first days, YYYY-MM-DD, of the validation and the test period. The climate of all days
    before the test period goes to climate.json beside it."""
    label = rain_tomorrow(observations.station, observations.day, observations.column("rainfall"))
    part = parts(observations.day, *(np.datetime64(day, "D").item() for day in boundaries))
    climate = Climate.fit(observations[part != "test"])
    matrix = feature_matrix(observations, Surroundings.of(observations), climate)
    columns = {
        "station": pa.array(observations.station.tolist(), pa.string()),
        "day": pa.array(observations.day, pa.date32()),
        "part": pa.array(part.tolist(), pa.string()),
        "rain_tomorrow": pa.array(label, from_pandas=True),
        **{name: pa.array(matrix[:, index], from_pandas=True) for index, name in enumerate(FEATURE_NAMES)},
    }
    path.with_name(CLIMATE).write_text(climate.text(), encoding="utf-8")
    write_table(pa.table(columns), path)


def transform_digest() -> str:
    """Changes when the code that makes the features does: DVC rebuilds them then."""
    digest = hashlib.sha256()
    for package, name in _TRANSFORM:
        digest.update(files(package).joinpath(name).read_bytes())
    return digest.hexdigest()[:16]
