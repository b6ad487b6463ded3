"""The whole preprocessing job with the real DVC."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch
from meteo.archive.store import ObservationStore
from meteo.models.card import CLIMATE
from meteo.models.registry import Registry
from meteo.observation import Observations
from meteo.runtime.database import connect, connected, only_one
from meteo.runtime.settings import Settings
from train.dataset import Dataset

pytestmark = pytest.mark.slow

Build = Callable[..., Observations]
MlflowServer = Callable[[Path, dict[str, str]], AbstractContextManager[str]]
KEY = "k" * 40


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


def test_a_change_of_the_split_rebuilds_the_features_only(
    tmp_path: Path, weather: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, weather(days=60))
    first = summary(run(tmp_path, "preprocessing"))["versions"]
    monkeypatch.setenv("METEO_PREPROCESSING__TEST_SHARE", "0.25")
    done = run(tmp_path, "preprocessing")
    later = summary(done)["versions"]
    assert isinstance(first, dict)
    assert isinstance(later, dict)
    assert later["snapshot.parquet"] == first["snapshot.parquet"]
    assert later["training"] != first["training"]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real S3 service on loopback with an empty bucket; the settings name it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ACCESS_KEY_ID", "tests"), ("SECRET_ACCESS_KEY", "tests"), ("DEFAULT_REGION", "us-east-1"),
                        ("EC2_METADATA_DISABLED", "true")):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    address = f"http://{host}:{port}"
    assert httpx.put(f"{address}/weather", trust_env=False).status_code == 200
    monkeypatch.setenv("METEO_PREPROCESSING__REMOTE", "s3://weather/training")
    monkeypatch.setenv("METEO_PREPROCESSING__REMOTE_ENDPOINT", address)
    yield address
    server.stop()


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer) -> Iterator[str]:
    """The port of a real MLflow."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow"), {}) as address:
        yield address.rpartition(":")[2]


@pytest.mark.parametrize("remote", ["folder", "s3"])
def test_what_a_published_model_was_trained_on_is_restored_by_its_card(
    tmp_path: Path, weather: Build, remote: str, mlflow: str, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """From the remote alone: the workspace and its cache are gone, newer data have come since, and what no model was
    made of has been removed."""
    if remote == "s3":
        request.getfixturevalue("s3")
    for name, value in (("MLFLOW__PORT", mlflow), ("TRAIN__MODEL_NAME", remote), ("TRAIN__KIND", "logistic"),
                        ("TRAIN__MINIMUM_ROWS", "100"), ("GIT_COMMIT", "c" * 40), ("MODELS_SECRET", KEY)):  # fmt: skip
        monkeypatch.setenv(f"METEO_{name}", value)
    fill(tmp_path, weather(days=200))
    version = summary(run(tmp_path, "preprocessing"))["data_version"]
    trained = summary(run(tmp_path, "train"))
    seen = Dataset.read(tmp_path / "dvc" / "training")
    unused, newest = _made_since(tmp_path, weather)
    assert len({version, unused, newest}) == 3
    _tidied(tmp_path, elsewhere=remote == "s3")
    shutil.rmtree(tmp_path / "dvc")
    done = run(tmp_path, "preprocessing", "restore", unused, "--to", str(tmp_path / "unused"))
    assert "cannot be had from" in json.loads(done.stdout.splitlines()[-1])["error"]
    summary(run(tmp_path, "preprocessing", "restore", newest, "--to", str(tmp_path / "newest")))
    assert (tmp_path / "dvc-remote").exists() == (remote == "folder")

    settings = Settings()
    registry = Registry(settings.mlflow.address, settings.train.model_name, KEY)
    published = registry.require("challenger")
    (tmp_path / "bundle").mkdir()
    card = registry.load(published, tmp_path / "bundle").card
    assert {card.data_version, published.tags["data_version"], trained["data_version"]} == {version}
    assert {card.git_commit, published.tags["git_commit"]} == {"c" * 40}

    to = tmp_path / "restored"
    found = summary(run(tmp_path, "preprocessing", "restore", card.data_version, "--to", str(to)))
    assert found["data_version"] == version
    assert sorted(path.name for path in to.iterdir()) == ["climate.json", "features.parquet", "snapshot.parquet"]
    restored = Dataset.read(to)
    for part in ("train", "validation", "test"):
        then, now = getattr(seen, part), getattr(restored, part)
        assert (then.matrix.tobytes(), then.label.tobytes()) == (now.matrix.tobytes(), now.label.tobytes())
    assert restored.climate.text() == seen.climate.text() == (tmp_path / "bundle" / CLIMATE).read_text()
    assert restored.past.values.tobytes() == seen.past.values.tobytes()


def _made_since(home: Path, weather: Build) -> tuple[str, str]:
    """Two versions of data that no model was made of, the second in a new workspace, which knows of no other."""
    versions = []
    for days in (210, 220):
        fill(home, weather(days=days))
        versions.append(str(summary(run(home, "preprocessing"))["data_version"]))
        if days == 210:
            shutil.rmtree(home / "dvc")
    return versions[0], versions[1]


def _tidied(home: Path, elsewhere: bool) -> None:
    """Housekeeping, which waits while somebody trains; `elsewhere` is a remote whose bytes are not counted."""
    with connected(f"sqlite:///{home / 'observations.db'}") as engine, only_one(engine, "training"):
        waits = summary(run(home, "preprocessing", "housekeeping"))
    assert (waits["removed"], str(waits["postponed"])[:16]) == ({}, "another training")
    removed = summary(run(home, "preprocessing", "housekeeping"))["removed"]
    assert isinstance(removed, dict)
    assert (removed["data remote bytes"] == 0) == elsewhere
    again = summary(run(home, "preprocessing", "housekeeping"))["removed"]
    assert again == {"data cache bytes": 0, "data remote bytes": 0}


@pytest.mark.parametrize(
    ("version", "sentence"),
    [(f"{0:032}.dir", "cannot be had from"), ("latest", "a data version is"), (f"{0:032}", "is of a single file")],
)
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: str, sentence: str) -> None:
    done = run(tmp_path, "preprocessing", "restore", version, "--to", str(tmp_path / "to"))
    assert done.returncode == 1
    assert sentence in json.loads(done.stdout.splitlines()[-1])["error"]
    assert list((tmp_path / "to").glob("*")) == []


def test_as_of_a_past_day_only_what_was_known_then_is_taken(tmp_path: Path, weather: Build) -> None:
    fill(tmp_path, weather(days=100))
    now = summary(run(tmp_path, "preprocessing"))
    then = summary(run(tmp_path, "preprocessing", "--as-of", "2020-03-10"))
    assert (now["rows"], then["rows"], then["as_of"]) == (200, 140, "2020-03-10")
    assert summary(run(tmp_path, "preprocessing"))["versions"] == now["versions"], "and back again"
    done = run(tmp_path, "preprocessing", "--as-of", "2019-03-10")
    assert "nothing was known as of 2019-03-10" in done.stderr


def test_an_empty_store_is_said_to_be(tmp_path: Path) -> None:
    done = run(tmp_path, "preprocessing")
    assert done.returncode == 1
    assert "the observation store is empty: run `python -m ingest` first" in done.stderr


@pytest.mark.parametrize("stage", ["snapshot", "features"])
def test_each_stage_can_be_asked_for_help(tmp_path: Path, stage: str) -> None:
    done = run(tmp_path, "preprocessing", stage, "--help")
    assert done.returncode == 0
    assert "Stage: write" in done.stdout
