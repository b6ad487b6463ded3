"""The first import of the whole history against pandas.read_csv + to_sql, the second against only reading it, and how
time and memory grow with the rows."""

import csv
import gzip
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from measure import child, in_turns, ratio, report
from rich.console import Console

TIMES = 5
SCALES = (1, 4, 16)


def run(history: Path, console: Console) -> dict[str, Any]:
    """The ratios and the growth."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with console.status("first import against pandas"):
            first = in_turns(
                TIMES,
                ours=lambda: child("ingestion.py", "import", history, _fresh(home), 1)["seconds"],
                pandas=lambda: child("ingestion.py", "pandas", history, _fresh(home), 1)["seconds"],
            )
        filled = _fresh(home)
        child("ingestion.py", "import", history, filled, 1)
        with console.status("second import against reading"):
            second = in_turns(
                TIMES,
                ours=lambda: child("ingestion.py", "import", history, filled, 1)["seconds"],
                reading=lambda: child("ingestion.py", "read", history, filled, 1)["seconds"],
            )
        growth = []
        for scale in SCALES:
            with console.status(f"{scale} times the stations"):
                path = home / "scaled.csv.gz"
                rows = _fabricate(history, path, scale)
                growth.append(
                    {"scale": scale, "rows": rows, **child("ingestion.py", "import", path, _fresh(home), scale)}
                )
                path.unlink()
    exponent = float(
        np.polyfit(np.log([row["rows"] for row in growth]), np.log([row["seconds"] for row in growth]), 1)[0]
    )
    steps = "; ".join(f"{row['rows']:,} rows {row['seconds']:.1f} s, {row['mb']:.0f} MB" for row in growth)
    return {
        "ratios": {
            "first import, checked and committed": ratio(
                first["ours"], first["pandas"], "pandas.read_csv + to_sql", "≤ 4"
            ),
            "second import of the same file": ratio(second["ours"], second["reading"], "only reading it", "≤ 2"),
        },
        "growth": growth,
        "exponent": round(exponent, 3),
        "notes": [f"growth: {steps}; exponent {exponent:.2f} (goal ≤ 1.1)"],
    }


def _fresh(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def _fabricate(history: Path, path: Path, scale: int) -> int:
    """The history with each station's rows repeated under `scale` names; the number of rows."""
    with gzip.open(history, "rt", newline="") as source, gzip.open(path, "wt", newline="", compresslevel=1) as target:
        header, *rows = csv.reader(source)
        place = header.index("Location")
        writer = csv.writer(target)
        writer.writerow(header)
        for copy in range(scale):
            for row in rows:
                name = f"{row[place]}{copy}" if copy else row[place]
                writer.writerow([*row[:place], name, *row[place + 1 :]])
    return scale * len(rows)


def _pandas(history: Path, home: Path) -> None:
    import pandas as pd
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{home / 'rival.db'}")
    report(lambda: pd.read_csv(history).to_sql("observations", engine, index=False))


def _read(history: Path) -> None:
    from ingest.parser import Reading

    report(lambda: sum(len(batch.observations) for batch in Reading(lambda: history.open("rb"), history.name)))


def _import(history: Path, home: Path, scale: int) -> None:
    from ingest.job import Ingestion, Request
    from ingest.landing import Landing
    from ingest.sources import FileSource
    from meteo.archive.store import ObservationStore
    from meteo.runtime.database import connect
    from meteo.station import stations

    known = stations()
    for place in list(known.values()):
        known.update({name: replace(place, name=name) for name in (f"{place.name}{copy}" for copy in range(1, scale))})
    store = ObservationStore(connect(f"sqlite:///{home / 'observations.db'}"))
    store.create()
    ingestion = Ingestion(store, Landing(home / "landing"), FileSource([history]), Request("file"))
    report(lambda: ingestion.run(lambda _: None))


if __name__ == "__main__":
    what, given, folder, times = sys.argv[1:]
    if what == "import":
        _import(Path(given), Path(folder), int(times))
    elif what == "read":
        _read(Path(given))
    else:
        _pandas(Path(given), Path(folder))
