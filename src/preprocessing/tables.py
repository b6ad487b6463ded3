"""The two files that training reads, written so that equal data are equal bytes.

snapshot.parquet: station, day and the fields of the schema, ordered by station and day; compass points as sectors.
features.parquet: the same rows as station, day, part, rain_tomorrow (null: no label) and X.
"""

import hashlib
import os
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from meteo import features
from meteo.observation import NAMES, Observations, rain_tomorrow
from preprocessing.split import parts

_TRANSFORM = (
    ("meteo", "observation.py"),
    ("meteo", "features.py"),
    ("meteo", "stations.csv"),
    ("preprocessing", "split.py"),
    ("preprocessing", "tables.py"),
)


def write_snapshot(observations: Observations, simulated: bool, path: Path) -> None:
    """`simulated` stays with the data, so that a model can say what it learnt from."""
    columns = {
        "station": pa.array(observations.station.tolist(), pa.string()),
        "day": pa.array(observations.day, pa.date32()),
        **{name: pa.array(observations.column(name), from_pandas=True) for name in NAMES},
    }
    _write(pa.table(columns).replace_schema_metadata({"simulated": str(simulated).lower()}), path)


def read_snapshot(path: Path) -> tuple[Observations, bool]:
    """The observations, and whether they are simulated."""
    table = pq.read_table(path)
    values = np.column_stack([table[name].to_numpy(zero_copy_only=False).astype(float) for name in NAMES])
    station = np.array(table["station"].to_pylist(), dtype=str)
    rows = Observations(station, table["day"].to_numpy().astype("datetime64[D]"), values)
    return rows, (table.schema.metadata or {}).get(b"simulated") == b"true"


def write_features(observations: Observations, boundaries: tuple[str, str], path: Path) -> None:
    """`boundaries` are the first days, YYYY-MM-DD, of the validation and the test period."""
    label = rain_tomorrow(observations.station, observations.day, observations.column("rainfall"))
    part = parts(observations.day, *(np.datetime64(day, "D").item() for day in boundaries))
    matrix = features.features(observations)
    columns = {
        "station": pa.array(observations.station.tolist(), pa.string()),
        "day": pa.array(observations.day, pa.date32()),
        "part": pa.array(part.tolist(), pa.string()),
        "rain_tomorrow": pa.array(label, from_pandas=True),
        **{name: pa.array(matrix[:, index], from_pandas=True) for index, name in enumerate(features.NAMES)},
    }
    _write(pa.table(columns), path)


def transform_digest() -> str:
    """Changes when the code that makes the features does: DVC rebuilds them then."""
    digest = hashlib.sha256()
    for package, name in _TRANSFORM:
        digest.update(files(package).joinpath(name).read_bytes())
    return digest.hexdigest()[:16]


def _write(table: pa.Table, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary, compression="zstd")
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
