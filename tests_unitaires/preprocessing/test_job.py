"""The whole preprocessing job with the real DVC."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from meteo.database import connect
from meteo.ingestions import STORED, FileRecord
from meteo.merge import Batch
from meteo.observation import Observations
from meteo.store import ObservationStore

Build = Callable[..., Observations]


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], env={**os.environ, "METEO_HOME": str(home)}, capture_output=True, text=True,
        check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def fill(home: Path, observations: Observations) -> None:
    store = ObservationStore(connect(f"sqlite:///{home / 'observations.db'}"))
    store.create()
    run = store.ingestions.begin("file", {})
    store.upsert(run.id, FileRecord("f", STORED, "file", "[]", 1), [Batch(observations, "weatherAUS")])


def test_a_rerun_rebuilds_nothing_and_new_data_rebuild_everything(tmp_path: Path, weather: Build) -> None:
    fill(tmp_path, weather(days=60))
    first = summary(run(tmp_path, "preprocessing"))
    assert first["rows"] == 120
    assert first["labelled"] == 118
    again = run(tmp_path, "preprocessing")
    assert summary(again) == first
    assert "Running stage 'features'" not in again.stderr
    fill(tmp_path, weather(days=70))
    later = run(tmp_path, "preprocessing")
    assert summary(later)["versions"] != first["versions"]
    assert "Running stage 'features'" in later.stderr


def test_the_lock_brings_the_exact_data_back_from_the_remote(tmp_path: Path, weather: Build) -> None:
    fill(tmp_path, weather(days=60))
    summary(run(tmp_path, "preprocessing"))
    workspace, elsewhere = tmp_path / "dvc", tmp_path / "elsewhere"
    original = (workspace / "features.parquet").read_bytes()
    elsewhere.mkdir()
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        shutil.copy(workspace / name, elsewhere / name)
    for arguments in (("init", "--no-scm"), ("remote", "add", "-d", "store", str(tmp_path / "dvc-remote")), ("pull",)):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=elsewhere, check=True, capture_output=True)
    assert (elsewhere / "features.parquet").read_bytes() == original


def test_an_empty_store_is_said_to_be(tmp_path: Path) -> None:
    done = run(tmp_path, "preprocessing")
    assert done.returncode == 1
    assert "the observation store is empty: run `python -m ingest` first" in done.stderr


@pytest.mark.parametrize("stage", ["snapshot", "features"])
def test_each_stage_can_be_asked_for_help(tmp_path: Path, stage: str) -> None:
    done = run(tmp_path, "preprocessing", stage, "--help")
    assert done.returncode == 0
    assert "Stage: write" in done.stdout
