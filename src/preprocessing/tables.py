"""features.parquet: the snapshot's rows as station, day, part, rain_tomorrow (null: no label) and X."""

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa

from meteo import features
from meteo.observation import Observations, rain_tomorrow
from meteo.snapshot import write_table
from preprocessing.split import parts

_TRANSFORM = (
    ("meteo", "observation.py"),
    ("meteo", "snapshot.py"),
    ("meteo", "features.py"),
    ("meteo", "stations.csv"),
    ("preprocessing", "split.py"),
    ("preprocessing", "tables.py"),
)


SNAPSHOT_KEY = b"snapshot_md5"
"""In the file's metadata: the version of the snapshot it was made from."""


def write_features(observations: Observations, boundaries: tuple[str, str], snapshot: str, path: Path) -> None:
    """`boundaries` are the first days, YYYY-MM-DD, of the validation and the test period; `snapshot` is the MD5 of the
    file the observations were read from."""
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
    write_table(pa.table(columns).replace_schema_metadata({SNAPSHOT_KEY: snapshot}), path)


def transform_digest() -> str:
    """Changes when the code that makes the features does: DVC rebuilds them then."""
    digest = hashlib.sha256()
    for package, name in _TRANSFORM:
        digest.update(files(package).joinpath(name).read_bytes())
    return digest.hexdigest()[:16]
