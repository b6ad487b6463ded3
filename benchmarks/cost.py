"""A large batch through the API against the same rows in process, and how the time and memory of a batch and of
training grow with the rows."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from measure import child, in_turns, ratio, report, seconds_of
from rich.console import Console
from serving import ours, prepared, running

ROWS = 100_000
TIMES = 3
SCALES = (1, 4, 16)
ROUNDS = 60
"""Trees of the trainings that are compared; a full training is measured apart."""


def run(history: Path, console: Console) -> dict[str, Any]:
    """The ratios, the growth and where a full training spends its time."""
    with prepared(history, console) as home:
        asked = json.loads((home / "asked.json").read_text(encoding="utf-8"))
        service = ours(home, asked)[0]
        table, listed = _bodies(home)
        batches: dict[str, list[float]] = {}
        with running([service], {}, console), console.status(f"{ROWS:,} rows in process and through the API"):
            address = service.url.removesuffix("/predict") + "/predict/batch"

            def post(body: bytes, kind: str, accepted: str) -> float:
                headers = {**service.headers, "Content-Type": kind, "Accept": accepted}
                return seconds_of(
                    lambda: httpx.post(
                        address, content=body, headers=headers, timeout=600, trust_env=False
                    ).raise_for_status()
                )

            batches = in_turns(
                TIMES,
                inside=lambda: child("cost.py", "batch", home, ROWS)["seconds"],
                table=lambda: post(table, "text/csv", "text/csv"),
                listed=lambda: post(listed, "application/json", "*/*"),
            )
        growth: dict[str, list[dict[str, float]]] = {"batch": [], "training": []}
        for scale in SCALES:
            for work, rows in (("batch", ROWS // 4 * scale), ("training", ROWS // 4 * scale)):
                with console.status(f"{work}, {rows:,} rows"):
                    growth[work].append({"rows": rows, **child("cost.py", work, home, rows)})
        with console.status("a full training"):
            full = child("cost.py", "full", home, 0)
    ratios = {
        f"{ROWS:,} rows as {form}": ratio(batches[name], batches["inside"], "in-process batch", "≤ 2")
        for form, name in (("CSV", "table"), ("JSON", "listed"))
    }
    exponents = {
        work: float(np.polyfit(np.log([row["rows"] for row in rows]), np.log([row["seconds"] for row in rows]), 1)[0])
        for work, rows in growth.items()
    }
    notes = [
        f"{work}: "
        + "; ".join(f"{row['rows']:,.0f} rows {row['seconds']:.1f} s, {row['mb']:.0f} MB" for row in rows)
        + f"; exponent {exponents[work]:.2f} (goal ≤ 1.1)"
        for work, rows in growth.items()
    ]
    steps = ", ".join(f"{name} {full[name]:.1f} s" for name in ("features", "masking", "rehearsal", "trees", "scoring"))
    notes.append(f"training on the whole history: {full['seconds']:.0f} s ({steps}), {full['mb']:.0f} MB")
    return {"ratios": ratios, "growth": growth, "exponents": exponents, "full_training": full, "notes": notes}


def _bodies(home: Path) -> tuple[bytes, bytes]:
    """The same rows as CSV and as JSON."""
    from meteo.observation import NAMES

    rows = _rows(home, ROWS)
    text, listed = io.StringIO(), []
    writer = csv.writer(text)
    writer.writerow(["station", "date", *NAMES])
    for station, day, item in zip(rows.station.tolist(), rows.day.tolist(), rows.items(), strict=True):
        writer.writerow([station, day, *("" if value is None else value for value in item.values())])
        known = {name: value for name, value in item.items() if value is not None}
        listed.append({"station": station, "date": day.isoformat(), "observation": known})
    return text.getvalue().encode(), json.dumps(listed).encode()


def _rows(home: Path, count: int) -> Any:
    """So many stored days that say something, the newest first again after the oldest."""
    from meteo.archive.store import ObservationStore
    from meteo.runtime.database import connect

    stored = ObservationStore(connect(f"sqlite:///{home / 'observations.db'}")).window()
    known = np.flatnonzero(~np.isnan(stored.values).all(axis=1))[::-1]
    return stored[np.resize(known, count)]


def _batch(home: Path, count: int) -> None:
    from api_model.neighbour_cache import Neighbours
    from meteo.archive.store import ObservationStore
    from meteo.models.bundle import Model
    from meteo.runtime.database import connect

    rows = _rows(home, count)
    (place,) = (home / "models").glob("1-*")
    model = Model.load(place, "1")
    neighbours = Neighbours(ObservationStore(connect(f"sqlite:///{home / 'observations.db'}")))

    def work() -> None:
        for close, around in neighbours.along(rows.day):
            model.probability(model.matrix(rows[close], around))

    report(work)


def _dataset(home: Path) -> Any:
    from datetime import date

    from meteo.archive.store import ObservationStore
    from meteo.runtime.database import connect
    from train.backtest import dataset_of

    stored = ObservationStore(connect(f"sqlite:///{home / 'observations.db'}")).window()
    return dataset_of(stored, date(2015, 6, 30), date(2015, 7, 1), date(2017, 6, 25))


def _training(home: Path, count: int) -> None:
    from train.dataset import Part
    from train.kinds import KINDS

    known = _dataset(home).train
    chosen = np.resize(np.arange(len(known)), count)
    part = Part(known.observations[chosen], known.matrix[chosen], known.label[chosen])
    del known
    kind = KINDS["xgboost"]
    params = kind.parameters({"rounds": ROUNDS})
    report(lambda: kind.fit(part, params, 1, lambda _: None))


def _full(home: Path, _: int) -> None:
    import time

    from meteo.runtime.settings import Settings
    from train.fit import Recipe, fit

    train = Settings().train
    recipe = Recipe(train.kind, train.params, train.seed, train.masked_share, train.minimum_rows)
    began = time.perf_counter()
    marks = {"features": began}

    def progress(text: str) -> None:
        name = {"masking": "masking", "rehearsal": "rehearsal", "round": "trees", "scoring": "scoring"}.get(
            text.partition(",")[0].partition(" ")[0]
        )
        if name:
            marks.setdefault(name, time.perf_counter())

    more: dict[str, float] = {}

    def work() -> None:
        fit(_dataset(home), recipe, "", "", progress)
        ends = [*list(marks.values())[1:], time.perf_counter()]
        more.update({name: end - start for (name, start), end in zip(marks.items(), ends, strict=True)})

    report(work, more)


if __name__ == "__main__":
    what, folder, given = sys.argv[1:]
    {"batch": _batch, "training": _training, "full": _full}[what](Path(folder), int(given))
