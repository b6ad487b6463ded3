"""`python -m preprocessing`: the store -> snapshot -> features, versioned by DVC."""

import re
import shutil
import tempfile
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import typer
import yaml

from meteo.archive.snapshot import read_snapshot, write_snapshot
from meteo.archive.store import ObservationStore
from meteo.errors import InvalidInput, NotEnoughData
from meteo.models.registry import Registry
from meteo.runtime import housekeeping as keeping
from meteo.runtime import job
from meteo.runtime.database import connect, connected, only_one
from meteo.runtime.private_files import tighten
from meteo.runtime.settings import TRAINING, Settings
from preprocessing.split import boundaries
from preprocessing.tables import transform_digest, write_features
from preprocessing.workspace import Workspace

VERSION = r"[0-9a-f]{32}\.dir"
"""A data version as model cards have it: DVC's name of a folder."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def preprocess(
    context: typer.Context,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="only what was known at the end of this day; by default all"),
    ] = None,
) -> None:
    """Rebuild what changed of the training data and send it to the DVC remote; prints one JSON summary last."""
    if context.invoked_subcommand is None:
        settings = Settings()
        job.run("preprocessing", settings, lambda: _rebuild(settings, as_of and as_of.date()))


@app.command()
def snapshot() -> None:
    """Stage: write snapshot.parquet into the current folder."""
    settings = Settings()
    job.run("snapshot", settings, lambda: _snapshot(settings))


@app.command()
def features() -> None:
    """Stage: write the folder `training` from snapshot.parquet and params.yaml in the current folder."""
    job.run("features", Settings(), _features)


@app.command()
def restore(
    version: Annotated[str, typer.Argument(help="the data version that a model card records")],
    to: Annotated[Path, typer.Option(help="folder to put the files in")] = Path("restored"),
) -> None:
    """Bring back, from the remote alone, all that a model's training read."""
    settings = Settings()
    job.run("restore", settings, lambda: _restore(settings, version, to))


@app.command()
def housekeeping() -> None:
    """Remove the data versions that no model's card names any more; prints one JSON summary last."""
    settings = Settings()
    keeping.run("preprocessing", settings, lambda: _tidy(settings))


def _tidy(settings: Settings) -> dict[str, int]:
    """How many bytes went. Conflict while somebody preprocesses, or trains on what no card names yet."""
    with ExitStack() as turns:
        engine = turns.enter_context(connected(settings.observations_url))
        for work in ("preprocessing", "training"):
            turns.enter_context(only_one(engine, work))
        if not (settings.workspace / "dvc.lock").exists():
            return {}
        named = {entry.tags.get("data_version", "") for entry in Registry.of(settings).versions()}
        return _workspace(settings, settings.workspace).keep_only(filter(re.compile(VERSION).fullmatch, sorted(named)))


def _restore(settings: Settings, version: str, to: Path) -> dict[str, Any]:
    if re.fullmatch(r"[0-9a-f]{32}", version):
        raise InvalidInput(
            "version: this MD5 is of a single file, as old cards have it; one that ends in .dir is of all training "
            "data. The dvc.lock at the model's MLflow run names each file, and `dvc pull` with it brings them back"
        )
    if not re.fullmatch(VERSION, version):
        raise InvalidInput("version: a data version is 32 hexadecimal digits and .dir, as the model card has it")
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to) as folder:
        workspace = _workspace(settings, Path(folder) / "dvc")
        names = sorted(path.name for path in workspace.fetch(TRAINING, version).iterdir())
        for name in names:
            shutil.copyfile(workspace.folder / TRAINING / name, Path(folder) / name)
            (Path(folder) / name).replace(to / name)
    return {"data_version": version, "files": names, "folder": str(to)}


def _workspace(settings: Settings, folder: Path) -> Workspace:
    given = settings.preprocessing
    remote = given.remote or str(settings.home / "dvc-remote")
    return Workspace(folder, settings.pipeline, remote, settings.location(), given.remote_endpoint)


def _rebuild(settings: Settings, as_of: date | None) -> dict[str, Any]:
    workspace = _workspace(settings, settings.workspace)
    split = settings.preprocessing.model_dump(
        mode="json", include={"validation_start", "test_start", "validation_share", "test_share"}
    )
    known = {"as_of": as_of and as_of.isoformat()}
    with connected(settings.observations_url) as engine, only_one(engine, "preprocessing"):
        workspace.prepare({"split": split, "transform": transform_digest(), **known})
        workspace.reproduce()
        workspace.push()
    tighten(settings.home / "dvc-remote")
    table = pq.read_table(settings.training_data / "features.parquet", columns=["part", "rain_tomorrow"])
    labelled = table.filter(table["rain_tomorrow"].is_valid())
    counts = {row["values"]: row["counts"] for row in labelled["part"].value_counts().to_pylist()}
    return {
        "rows": table.num_rows,
        "labelled": labelled.num_rows,
        **counts,
        **known,
        "data_version": workspace.versions()[TRAINING],
        "versions": workspace.versions(),
    }


def _snapshot(settings: Settings) -> dict[str, Any]:
    store = ObservationStore(connect(settings.observations_url))
    store.create()
    simulated = store.simulated()
    if simulated is None:
        raise NotEnoughData("the observation store is empty: run `python -m ingest` first")
    as_of = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["as_of"]
    observations = store.as_known(date.fromisoformat(as_of)) if as_of else store.window()
    if not len(observations):
        raise NotEnoughData(f"nothing was known as of {as_of}")
    write_snapshot(observations, simulated, Path("snapshot.parquet"))
    return {"rows": len(observations), "simulated": simulated}


def _features() -> dict[str, Any]:
    observations, _ = read_snapshot(Path("snapshot.parquet"))
    split = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["split"]
    given = {
        name: None if split[name] is None else date.fromisoformat(split[name])
        for name in ("validation_start", "test_start")
    }
    parts = boundaries(
        observations.day, given["validation_start"], given["test_start"], split["validation_share"], split["test_share"]
    )
    training = Path(TRAINING)
    training.mkdir(exist_ok=True)
    shutil.copyfile("snapshot.parquet", training / "snapshot.parquet")
    write_features(observations, (parts[0].isoformat(), parts[1].isoformat()), training / "features.parquet")
    return {"rows": len(observations), "validation_start": parts[0], "test_start": parts[1]}


if __name__ == "__main__":
    app()
