"""The DAG files in the real Airflow, in its own environment."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
AIRFLOW = REPOSITORY / ".venv-airflow" / "bin" / "airflow"


_RECORDER = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "$RECORD"
echo "$*" >> "$RECORD.all"
echo "$METEO_SECRETS" >> "$RECORD.secrets"
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
        "JOB_SECRETS": "/secrets",
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
    assert sorted(tasks.pop("monitoring")) == [
        "monitor", "start_training", "tidy_accounts", "tidy_archive", "tidy_data", "tidy_models",
        "tidy_monitoring", "training_asked_for",
    ]  # fmt: skip
    assert tasks == {
        "ingestion": ["ingest"], "training": ["preprocess", "train", "promote", "reload", "smoke"],
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


def test_monitoring_runs_its_command_then_the_housekeeping_of_each_package(environment: dict[str, str]) -> None:
    told = Path(f"{environment['RECORD']}.all")
    told.unlink(missing_ok=True)
    assert run(environment, "monitoring", {}).returncode == 0
    first, *tidying = told.read_text().splitlines()
    assert first == "-m monitoring"
    assert sorted(tidying) == [
        "-m gateway.housekeeping", "-m ingest housekeeping", "-m monitoring housekeeping",
        "-m preprocessing housekeeping", "-m train housekeeping",
    ]  # fmt: skip
    assert tidying.index("-m train housekeeping") < tidying.index("-m preprocessing housekeeping")


def test_training_runs_its_commands_in_order_each_knowing_the_run(environment: dict[str, str]) -> None:
    told, secrets = (Path(f"{environment['RECORD']}.{name}") for name in ("all", "secrets"))
    told.unlink(missing_ok=True)
    secrets.unlink(missing_ok=True)
    done = run(environment, "training", {"model": "logistic"})
    assert done.returncode == 0, done.stdout[-2000:]
    lines = told.read_text().splitlines()
    asked = lines[1].rpartition(" ")[2]
    assert [line.split(" --")[0] for line in lines] == [
        "-m preprocessing", "-m train", "-m train promote", "-m train reload", "-m train smoke",
    ]  # fmt: skip
    assert secrets.read_text().split() == ["/secrets/preprocessing", *["/secrets/train"] * 4], "each with its own"
    assert '"model": "logistic"' in lines[1]
    assert asked.startswith("manual__")
    assert lines[2].endswith(f"--run {asked}"), "the gate judges the version of this run"


def python(environment: dict[str, str], code: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AIRFLOW.parent / "python", "-c", code], env={**environment, **more}, capture_output=True, text=True,
        check=False, cwd=environment["AIRFLOW__CORE__DAGS_FOLDER"],
    )  # fmt: skip


def test_parsing_imports_nothing_heavy(environment: dict[str, str]) -> None:
    code = """
import sys, ingestion, monitoring, training
heavy = {"mlflow", "xgboost", "sklearn", "pandas", "pyarrow", "dvc", "meteo", "train", "ingest"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = python(environment, code)
    assert done.returncode == 0, done.stderr[-2000:]


_FAILS = """
import types, common
common.tell_alertmanager({"task_instance": types.SimpleNamespace(dag_id="training", task_id="train", run_id="r1"),
                          "exception": RuntimeError("exit code 1")})
"""


def test_a_failed_task_is_told_to_alertmanager(environment: dict[str, str], serve: Callable[[Any], str]) -> None:
    heard: list[Any] = []

    async def hear(request: Request) -> Response:
        heard.append((request.url.path, await request.json()))
        return Response()

    address = serve(Starlette(routes=[Route("/{path:path}", hear, methods=["POST"])]))
    done = python(environment, _FAILS, ALERTMANAGER_URL=address)
    assert done.returncode == 0, done.stderr[-2000:]
    ((path, (alert,)),) = heard
    assert path == "/api/v2/alerts"
    assert alert["labels"] == {
        "alertname": "PipelineTaskFailed", "severity": "warning", "dag": "training", "task": "train",
    }  # fmt: skip
    assert "train failed in run r1" in alert["annotations"]["summary"]
    assert (REPOSITORY / alert["annotations"]["runbook_url"]).is_file()


def test_an_alertmanager_that_is_away_fails_no_callback(environment: dict[str, str]) -> None:
    away = python(environment, _FAILS, ALERTMANAGER_URL="http://127.0.0.1:9")
    assert (away.returncode, "did not take the alert" in away.stdout) == (0, True)
    none = python(environment, _FAILS)
    assert (none.returncode, "no ALERTMANAGER_URL is set" in none.stdout) == (0, True)


def test_what_airflow_keeps_of_old_runs_goes_and_its_pipelines_stay(environment: dict[str, str]) -> None:
    """The database is Airflow's own, of which no more is changed than how old it is."""
    assert run(environment, "monitoring", {}).returncode == 0
    with closing(sqlite3.connect(Path(environment["AIRFLOW_HOME"]) / "airflow.db")) as database:
        database.execute("UPDATE dag SET last_parsed_time = '2020-01-01 00:00:00.000000'")  # stood still since
        young = _counts(database)
        assert min(young.values()) > 0, young
        assert _tidied(environment, database) == young
        for table, column in (("dag_run", "start_date"), ("task_instance", "start_date"), ("xcom", "timestamp"),
                              ("log", "dttm")):  # fmt: skip
            database.execute(f"UPDATE {table} SET {column} = datetime({column}, '-40 days') || '.000000'")  # noqa: S608
        database.commit()
        assert _tidied(environment, database) == {**dict.fromkeys(young, 0), "dag": young["dag"]}


def _tidied(environment: dict[str, str], database: sqlite3.Connection) -> dict[str, int]:
    """How many rows there are after Airflow's database was tidied, but for what that did itself."""
    before = database.execute("SELECT max(id) FROM log").fetchone()[0] or 0
    path = f"{AIRFLOW.parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["sh", REPOSITORY / "deploy" / "images" / "tidy", "airflow"], env={**environment, "PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    database.execute("DELETE FROM log WHERE id > ?", (before,))
    database.commit()
    return _counts(database)


def _counts(database: sqlite3.Connection) -> dict[str, int]:
    tables = ("dag", "dag_run", "task_instance", "xcom", "log")
    return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
