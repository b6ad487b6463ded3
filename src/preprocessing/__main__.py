"""`python -m preprocessing`: the store -> snapshot -> features, versioned by DVC."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import typer
import yaml

from meteo import job
from meteo.database import connect
from meteo.errors import NotEnoughData
from meteo.settings import Settings
from meteo.snapshot import read_snapshot, write_snapshot
from meteo.store import ObservationStore
from preprocessing.split import boundaries
from preprocessing.tables import transform_digest, write_features
from preprocessing.workspace import Workspace

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def preprocess(context: typer.Context) -> None:
    """Rebuild what changed of the training data and send it to the DVC remote; prints one JSON summary last."""
    if context.invoked_subcommand is None:
        settings = Settings()
        job.run("preprocessing", settings.log_level, lambda: _rebuild(settings))


@app.command()
def snapshot() -> None:
    """Stage: write snapshot.parquet into the current folder."""
    settings = Settings()
    job.run("snapshot", settings.log_level, lambda: _snapshot(settings))


@app.command()
def features() -> None:
    """Stage: write features.parquet from snapshot.parquet and params.yaml in the current folder."""
    job.run("features", Settings().log_level, _features)


def _rebuild(settings: Settings) -> dict[str, Any]:
    remote = settings.preprocessing.remote or str(settings.home / "dvc-remote")
    workspace = Workspace(settings.workspace, settings.pipeline, remote, settings.location())
    split = settings.preprocessing.model_dump(
        mode="json", include={"validation_start", "test_start", "validation_share", "test_share"}
    )
    workspace.prepare({"split": split, "transform": transform_digest()})
    workspace.reproduce()
    workspace.push()
    table = pq.read_table(workspace.folder / "features.parquet", columns=["part", "rain_tomorrow"])
    labelled = table.filter(table["rain_tomorrow"].is_valid())
    counts = {row["values"]: row["counts"] for row in labelled["part"].value_counts().to_pylist()}
    return {"rows": table.num_rows, "labelled": labelled.num_rows, **counts, "versions": workspace.digests()}


def _snapshot(settings: Settings) -> dict[str, Any]:
    store = ObservationStore(connect(settings.observations_url))
    store.create()
    simulated = store.simulated()
    if simulated is None:
        raise NotEnoughData("the observation store is empty: run `python -m ingest` first")
    observations = store.window()
    write_snapshot(observations, simulated, Path("snapshot.parquet"))
    return {"rows": len(observations), "simulated": simulated}


def _features() -> dict[str, Any]:
    observations, _ = read_snapshot(Path("snapshot.parquet"))
    split = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["split"]
    given = {
        name: None if split[name] is None else date.fromisoformat(split[name])
        for name in ("validation_start", "test_start")
    }
    found = boundaries(observations.day, given["validation_start"], given["test_start"],
                       split["validation_share"], split["test_share"])  # fmt: skip
    write_features(observations, (found[0].isoformat(), found[1].isoformat()), Path("features.parquet"))
    return {"rows": len(observations), "validation_start": found[0], "test_start": found[1]}


if __name__ == "__main__":
    app()
