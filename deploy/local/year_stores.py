"""What the product's stores hold, and how much each may hold after so many days."""

import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from meteo.runtime.settings import Retention

Figures = Mapping[str, int]
"""Bytes, files and rows, by names like `landing: bytes`, `landing: files` and `predictions.db: rows of predictions`."""

STORES = {
    "observations.db": "observations.db", "predictions.db": "predictions.db", "gateway.db": "gateway.db",
    "console.db": "console.db", "landing": "landing", "dvc/.dvc/cache": "DVC cache", "dvc-remote": "DVC remote",
    "dvc": "DVC workspace", "mlflow/mlflow.db": "mlflow.db", "mlflow/artifacts": "MLflow artifacts",
    "models": "models", "logs": "logs", "metrics": "metrics",
}  # fmt: skip
"""Where under METEO_HOME each is, the first that fits; what fits none is `other`."""

WEEK = 7
LEVEL = 1.25
"""What the last week may be above one in which as much went as came: not every day brings the same."""

DATABASES = ("observations.db", "predictions.db", "gateway.db", "console.db", "mlflow/mlflow.db")
MLFLOW = {
    "training runs": "SELECT count(*) FROM runs JOIN experiments USING (experiment_id) "
                        "WHERE runs.lifecycle_stage = 'active' AND experiments.name = 'training'",
    "monitoring runs": "SELECT count(*) FROM runs JOIN experiments USING (experiment_id) "
                          "WHERE runs.lifecycle_stage = 'active' AND experiments.name = 'monitoring'",
    "model versions": "SELECT count(*) FROM model_versions WHERE current_stage <> 'Deleted_Internal'",
}  # fmt: skip
"""What MLflow shows: its tables keep what was removed."""


def measure(home: Path) -> dict[str, int]:
    """What is in each store now."""
    figures: dict[str, int] = {}
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            store = _store(path.relative_to(home).as_posix())
            for name, amount in (("bytes", path.stat().st_size), ("files", 1)):
                figures[f"{store}: {name}"] = figures.get(f"{store}: {name}", 0) + amount
    for database in DATABASES:
        if (home / database).exists():
            figures.update(_rows(home / database))
    return figures


def _store(path: str) -> str:
    fits = (name for place, name in STORES.items() if path.startswith((f"{place}/", f"{place}-")) or path == place)
    return next(fits, "other")


def _rows(database: Path) -> Iterator[tuple[str, int]]:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        counts = {name: f'SELECT count(*) FROM "{name}"' for (name,) in tables.fetchall()}  # noqa: S608
        for name, query in (counts | (MLFLOW if database.name == "mlflow.db" else {})).items():
            yield f"{database.name}: rows of {name}", connection.execute(query).fetchone()[0]


@dataclass(frozen=True)
class Limit:
    """What a figure may grow by from the first day: `each` for every `period` days as long as what these brought is
    kept, for `keeps` periods; and for good `stays` a day, and `spare` once."""

    figure: str
    each: float
    keeps: float = math.inf
    period: int = 1
    stays: float = 0
    spare: float = 0
    even: bool = True
    """Whether each period brings about as much."""

    def growth(self, days: int) -> float:
        return self.each * min(days / self.period, self.keeps) + self.stays * days + self.spare


def broken(figures: Sequence[Figures], limits: Iterable[Limit]) -> dict[str, str]:
    """Which figures, of each day's end from the start on, were larger than they may be on any day, or still grew when
    nothing of the first days was kept any more; and how."""
    found = {}
    for limit in limits:
        grown = [day.get(limit.figure, 0) - figures[0].get(limit.figure, 0) for day in figures]
        over = [day for day, growth in enumerate(grown) if growth > limit.growth(day)]
        if over:
            day = max(over, key=lambda day: grown[day] - limit.growth(day))
            found[limit.figure] = f"grew by {grown[day]:,} in {day} days, where {limit.growth(day):,.0f} is the most"
        elif told := _growing(grown, limit):
            found[limit.figure] = told
    return found


def _growing(grown: Sequence[int], limit: Limit) -> str:
    """Whether the last week was above the first one in which as much went as came; empty where it was not, or where so
    many days have not passed."""
    full, last = limit.keeps * limit.period + 1, len(grown) - 1
    if last < 2 * full or not limit.even:
        return ""
    level, late = max(grown[int(full) : int(full) + WEEK]), max(grown[-WEEK:])
    allowed = LEVEL * level + limit.stays * last + limit.spare
    return f"grew by {level:,} in {full + WEEK - 1:.0f} days and by {late:,} in {last}" if late > allowed else ""


@dataclass(frozen=True)
class Plan:
    """What comes: predictions and stations a day; a training, and Evidently's pages, every so many days."""

    predictions: int
    stations: int
    train_every: int
    page_days: int


def limits(kept: Retention, plan: Plan) -> list[Limit]:
    """What a day brings to each store, at most twice what was measured; docs/operations.md says what is kept."""
    stations, versions = plan.stations, kept.champions + kept.challengers
    page = 4_750_000
    drawn = page * (2 / plan.page_days + 1 / 4)  # of what drifts there is always one
    asked = plan.predictions + stations / plan.train_every  # by people, and by the smoke test
    return [
        Limit("predictions.db: rows of predictions", asked, kept.predictions_days, spare=asked),
        Limit("predictions.db: rows of daily_forecasts", 12 * stations, kept.forecast_sums_days, spare=12 * stations),
        Limit("predictions.db: bytes", 900 * asked, kept.predictions_days, stays=70_000, spare=6e6),
        Limit("gateway.db: rows of audit", 4, kept.audit_days, spare=8),
        Limit("gateway.db: rows of sessions", 4, 7, spare=8),
        Limit("gateway.db: bytes", 2_500, kept.audit_days, spare=6e6),
        Limit("console.db: rows of console_logins", 0, spare=2),
        Limit("console.db: bytes", 0, spare=6e6),
        Limit("observations.db: rows of observations", stations),
        Limit("observations.db: rows of revisions", 6.5 * stations, kept.revisions_days, spare=6.5 * stations),
        Limit("observations.db: rows of ingestions", 1, kept.ingestions_days, stays=0.2, spare=2),
        Limit(
            "observations.db: rows of files",
            2 * stations,
            kept.ingestions_days,
            stays=stations / 22,
            spare=2 * stations,
        ),
        Limit("observations.db: bytes", 1_200 * stations, kept.revisions_days, stays=300 * stations, spare=6e6),
        Limit("landing: files", 0, stays=stations / 29, spare=2 * stations),
        Limit("landing: bytes", 0, stays=80 * stations, spare=200_000),
        Limit("DVC cache: bytes", 450_000 * stations, versions + 2, plan.train_every, spare=450_000 * stations),
        Limit("DVC remote: bytes", 450_000 * stations, versions + 2, plan.train_every, spare=450_000 * stations),
        Limit("DVC workspace: bytes", 0, stays=1_200 * stations, spare=1e6),
        Limit("mlflow.db: rows of monitoring runs", 1, kept.monitoring_runs, spare=1),
        Limit("mlflow.db: rows of training runs", 1, versions, plan.train_every, spare=3),
        Limit("mlflow.db: rows of model versions", 1, versions, plan.train_every, spare=3),
        Limit("mlflow.db: bytes", 20_000, spare=500_000),
        Limit(
            "MLflow artifacts: bytes",
            drawn,
            kept.monitoring_runs,
            spare=4 * page + 600_000 * (versions + 3),
            even=False,
        ),
        Limit("models: bytes", 0, spare=2_000_000),
        Limit("metrics: bytes", 0, spare=100_000),
        Limit("logs: bytes", 65_000, 30e6 * 6 / 65_000, spare=200_000),
        Limit("other: bytes", 0, spare=100_000),
    ]
