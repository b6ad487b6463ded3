"""snapshot.parquet, as preprocessing writes and training reads it: equal data are equal bytes.

Columns: station, day and the fields of the schema, compass points as sectors; rows ordered by station and day.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from meteo.observation import NAMES, Observations


def write_snapshot(observations: Observations, simulated: bool, path: Path) -> None:
    """`simulated` stays with the data, so that a model can say what it learnt from."""
    columns = {
        "station": pa.array(observations.station.tolist(), pa.string()),
        "day": pa.array(observations.day, pa.date32()),
        **{name: pa.array(observations.column(name), from_pandas=True) for name in NAMES},
    }
    write_table(pa.table(columns).replace_schema_metadata({"simulated": str(simulated).lower()}), path)


def read_snapshot(path: Path) -> tuple[Observations, bool]:
    """The observations, and whether they are simulated."""
    table = pq.read_table(path)
    values = np.column_stack([table[name].to_numpy(zero_copy_only=False).astype(float) for name in NAMES])
    station = np.array(table["station"].to_pylist(), dtype=str)
    rows = Observations(station, table["day"].to_numpy().astype("datetime64[D]"), values)
    return rows, (table.schema.metadata or {}).get(b"simulated") == b"true"


def write_table(table: pa.Table, path: Path) -> None:
    """Write under a temporary name, then rename: a crash leaves no half-written file."""
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary, compression="zstd")
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
