"""Runs at a real MLflow with a password: how they are found, and what is left of those that are removed."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from meteo.models.runs import remove, runs_of

PASSWORD = "what services say to the tests' own MLflow"
TIDY = Path(__file__).resolve().parents[3] / "deploy" / "images" / "tidy"


def test_nothing_is_left_of_a_removed_run_and_all_of_the_others(
    tmp_path: Path, mlflow_server: Callable[[Path, dict[str, str]], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "meteo")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    (tmp_path / "METEO_MLFLOW__PASSWORD").write_text(PASSWORD)
    (tmp_path / "report.html").write_text("a page")
    artifacts = tmp_path / "artifacts"
    with mlflow_server(tmp_path, {"METEO_MLFLOW__PASSWORD": PASSWORD}) as address:
        client = MlflowClient(address, address)
        assert runs_of(client, "monitoring") == []
        experiment = client.create_experiment("monitoring")
        made = [client.create_run(experiment, start_time=start).info.run_id for start in (1, 2, 3)]
        for run in made:
            client.log_metric(run, "alarms", 1)
            client.log_artifact(run, str(tmp_path / "report.html"))
        assert [run.info.run_id for run in runs_of(client, "monitoring")] == made[::-1]
        assert len(list(artifacts.rglob("report.html"))) == 3

        assert remove(client, address, runs_of(client, "monitoring")[1:]) == 2
        assert [run.info.run_id for run in runs_of(client, "monitoring")] == made[2:]
        (kept,) = artifacts.rglob("report.html")
        assert made[2] in kept.parts

        known = {**os.environ, "MLFLOW_ADDRESS": address, "METEO_SECRETS": str(tmp_path), "MLFLOW_REMOVED_FOR": "0s",
                 "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                 "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}  # fmt: skip
        del known["MLFLOW_TRACKING_PASSWORD"], known["MLFLOW_TRACKING_USERNAME"]
        done = subprocess.run(["sh", TIDY, "mlflow"], env=known, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
            for table in ("runs", "metrics"):
                left = database.execute(f"SELECT run_uuid FROM {table}").fetchall()  # noqa: S608
                assert left == [(made[2],)], table
        assert kept.read_text() == "a page"
