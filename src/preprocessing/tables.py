"""features.parquet: the snapshot's rows as station, day, part, rain_tomorrow (null: no label) and X."""

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa

from meteo import features
from meteo.climate import Climate
from meteo.model import CLIMATE
from meteo.observation import Observations, rain_tomorrow
from meteo.snapshot import write_table
from meteo.surroundings import Surroundings
from preprocessing.split import parts

_TRANSFORM = (
    ("meteo", "observation.py"),
    ("meteo", "snapshot.py"),
    ("meteo", "row.py"),
    ("meteo", "surroundings.py"),
    ("meteo", "climate.py"),
    ("meteo", "features.py"),
    ("meteo", "stations.csv"),
    ("preprocessing", "split.py"),
    ("preprocessing", "tables.py"),
)


SNAPSHOT_KEY = b"snapshot_md5"
"""In the file's metadata: the version of the snapshot it was made from."""


def write_features(observations: Observations, boundaries: tuple[str, str], snapshot: str, path: Path) -> None:
    """`boundaries` are the first days, YYYY-MM-DD, of the validation and the test period; `snapshot` is the MD5 of the
    file the observations were read from. The climate of all days before the test period goes to climate.json beside it.
    """
    label = rain_tomorrow(observations.station, observations.day, observations.column("rainfall"))
    part = parts(observations.day, *(np.datetime64(day, "D").item() for day in boundaries))
    climate = Climate.fit(observations[part != "test"])
    matrix = features.features(observations, Surroundings.of(observations), climate)
    columns = {
        "station": pa.array(observations.station.tolist(), pa.string()),
        "day": pa.array(observations.day, pa.date32()),
        "part": pa.array(part.tolist(), pa.string()),
        "rain_tomorrow": pa.array(label, from_pandas=True),
        **{name: pa.array(matrix[:, index], from_pandas=True) for index, name in enumerate(features.NAMES)},
    }
    path.with_name(CLIMATE).write_text(climate.text(), encoding="utf-8")
    write_table(pa.table(columns).replace_schema_metadata({SNAPSHOT_KEY: snapshot}), path)


def transform_digest() -> str:
    """Changes when the code that makes the features does: DVC rebuilds them then."""
    digest = hashlib.sha256()
    for package, name in _TRANSFORM:
        digest.update(files(package).joinpath(name).read_bytes())
    return digest.hexdigest()[:16]
