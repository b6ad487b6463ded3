"""The DAG files in the real Airflow, in its own environment."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
AIRFLOW = REPOSITORY / ".venv-airflow" / "bin" / "airflow"


_RECORDER = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$RECORD"
echo "some progress"
echo "{\\"job\\": \\"recorded\\", \\"retrain\\": {\\"ask\\": false, \\"reason\\": \\"all is well\\"}}"
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if not AIRFLOW.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("needs Airflow's environment: make setup")
        pytest.skip("needs Airflow's environment: make setup")
    home = tmp_path_factory.mktemp("airflow")
    recorder = home / "recorder"
    recorder.write_text(_RECORDER)
    recorder.chmod(0o755)
    found = {
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "src/airflow/dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "METEO_PYTHON": str(recorder),
        "RECORD": str(home / "record"),
    }
    done = subprocess.run([AIRFLOW, "db", "migrate"], env=found, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return found


@pytest.fixture(scope="module")
def dags(environment: dict[str, str]) -> dict[str, Any]:
    code = """
import json, os, sys
sys.path.append(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])  # as Airflow's own processes do
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
print(json.dumps({"errors": {str(k): str(v) for k, v in bag.import_errors.items()}, "dags": {
  dag.dag_id: {"tasks": [task.task_id for task in dag.topological_sort()], "active": dag.max_active_runs,
               "catchup": dag.catchup, "schedule": getattr(dag.timetable, "expression", ""), "doc": bool(dag.doc_md),
               "owners": sorted({task.owner for task in dag.tasks}), "retries": [task.retries for task in dag.tasks],
               "timeouts": [task.execution_timeout is not None for task in dag.tasks]}
  for dag in bag.dags.values()}}))
"""
    done = subprocess.run(
        [AIRFLOW.parent / "python", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_dags_parse_and_are_as_documented(dags: dict[str, Any]) -> None:
    assert dags["errors"] == {}
    tasks = {name: dag["tasks"] for name, dag in dags["dags"].items()}
    assert tasks == {
        "ingestion": ["ingest"], "training": ["preprocess", "train", "promote", "reload", "smoke"],
        "monitoring": ["monitor", "training_asked_for", "start_training"],
    }  # fmt: skip
    for dag in dags["dags"].values():
        assert (dag["active"], dag["catchup"], dag["doc"], dag["owners"]) == (1, False, True, ["rain-tomorrow"])
        assert all(count == 2 for count in dag["retries"])
        assert all(dag["timeouts"])
    assert dags["dags"]["ingestion"]["schedule"] == "30 16 * * *"
    assert dags["dags"]["training"]["schedule"] == "0 18 * * 0"


def run(environment: dict[str, str], dag: str, conf: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AIRFLOW, "dags", "test", dag, "--conf", json.dumps(conf)], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_parameters_reach_the_job_as_data_and_run_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    hostile = f"Sydney'; touch {tmp_path}/owned; $(touch {tmp_path}/owned) `touch {tmp_path}/owned` \" \\ {{{{ 1 }}}}"
    done = run(environment, "ingestion", {"stations": [hostile], "start": "2024-01-01"})
    assert done.returncode == 0, done.stdout[-2000:]
    arguments = Path(environment["RECORD"]).read_text().splitlines()
    assert arguments[:3] == ["-m", "ingest", "--params"]
    assert json.loads(arguments[3]) == {"stations": [hostile], "start": "2024-01-01", "end": None, "source": None}
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(("dag", "conf"), [("ingestion", {"start": "yesterday"}), ("training", {"model": "oracle"})])
def test_parameters_that_cannot_be_are_refused(environment: dict[str, str], dag: str, conf: dict[str, Any]) -> None:
    done = run(environment, dag, conf)
    assert done.returncode != 0
    assert "Invalid input for param" in done.stdout + done.stderr


def test_monitoring_runs_its_command(environment: dict[str, str]) -> None:
    assert run(environment, "monitoring", {}).returncode == 0
    assert Path(environment["RECORD"]).read_text().splitlines() == ["-m", "monitoring"]
