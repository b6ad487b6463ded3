import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from gateway.dependencies import Services

LogIn = Callable[[str], dict[str, str]]


def test_a_trigger_reaches_airflow_with_the_persons_name(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    behind.airflow()
    asked = {"stations": ["Sydney"], "start": "2024-01-01", "end": "2024-01-31"}
    answer = client.post("/admin/ingestion", json=asked, headers={**log_in("root"), "X-Request-ID": "request-0002"})
    assert (answer.status_code, answer.json()) == (202, {"dag": "ingestion", "run_id": "manual__1"})
    method, path, headers, body = behind.calls[-1]
    assert (method, path, headers["authorization"]) == (
        "POST", "/api/v2/dags/ingestion/dagRuns", "Bearer airflow-token",
    )  # fmt: skip
    assert json.loads(body) == {
        "logical_date": None, "conf": asked, "note": "asked by root, request request-0002",
    }  # fmt: skip
    (entry,) = client.get("/admin/audit?limit=1", headers=log_in("root")).json()[:1]
    assert entry["action"] == "login"


def test_a_trigger_is_audited_with_its_parameters(
    client: httpx.Client, behind: Any, log_in: LogIn, services: Services
) -> None:
    behind.airflow()
    client.post("/admin/ingestion", json={"source": "demo"}, headers=log_in("root"))
    (entry,) = services.audit.latest(1)
    assert (entry["actor"], entry["action"], entry["outcome"]) == ("root", "start ingestion", "success")
    assert entry["detail"] == {"conf": {"source": "demo"}}


def test_a_second_trigger_while_one_runs_is_a_conflict(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    behind.airflow()
    behind.answers["GET /api/v2/dags/ingestion/dagRuns"] = JSONResponse(
        {"dag_runs": [{"dag_run_id": "manual__0"}], "total_entries": 1}
    )
    answer = client.post("/admin/ingestion", headers=log_in("root"))
    assert answer.status_code == 409
    assert "manual__0" in answer.json()["detail"]


def test_what_the_training_job_would_take_is_taken(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    behind.airflow()
    runs = "/api/v2/dags/training/dagRuns"
    behind.answers[f"GET {runs}"] = JSONResponse({"dag_runs": [], "total_entries": 0})
    behind.answers[f"POST {runs}"] = JSONResponse({"dag_run_id": "manual__1"})
    root = log_in("root")
    asked: dict[str, Any]
    for asked in ({}, {"params": {}}, {"params": {"max_depth": 4, "eta": 0.3, "lambda": 1, "rounds": 50}},
                  {"model": "random_forest", "params": {"n_estimators": 20}}, {"model": "logistic"}):  # fmt: skip
        assert client.post("/admin/training", json=asked, headers=root).status_code == 202
        assert json.loads(behind.calls[-1][3])["conf"] == asked
    for infinite in ("NaN", "Infinity", "1e400"):
        wrong = client.post("/admin/training", content=f'{{"params": {{"eta": {infinite}}}}}', headers=root)
        assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "params.eta")
    assert "a number from 0.001 to 1" in wrong.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/stations/Sydney/observations", "/predictions", "/admin/quality", "/admin/data-quality"]
)
def test_a_range_that_ends_before_it_starts_is_refused(
    client: httpx.Client, behind: Any, log_in: LogIn, path: str
) -> None:
    root = log_in("root")
    wrong = client.get(f"{path}?start=2024-02-01&end=2024-01-31", headers=root)
    errors = [{"field": "end", "message": "must not be before start, 2024-02-01"}]
    assert (wrong.status_code, wrong.json()["errors"]) == (422, errors)
    assert behind.calls == []
    assert client.get(f"{path}?start=2024-02-01&end=2024-02-01", headers=root).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [("/admin/ingestion", {"start": "2024-02-30"}, "start"), ("/admin/ingestion", {"sources": "demo"}, "sources"),
     ("/admin/ingestion", {"stations": ["Sidney"]}, "station"), ("/admin/ingestion", {"source": "ftp"}, "source"),
     ("/admin/ingestion", {"start": "2024-02-01", "end": "2024-01-01"}, "end"),
     ("/admin/training", {"model": "oracle"}, "model"), ("/admin/training", {"params": 3}, "params"),
     ("/admin/monitoring", {"days": 7}, "days"), ("/admin/monitoring", [], "body"),
     *(("/admin/training", {"params": {name: value}}, f"params.{name}") for name, value in (
         ("depth", 3), ("max_depth", 0), ("max_depth", 17), ("max_depth", 6.5), ("max_depth", "6"), ("max_depth", None),
         ("max_depth", True), ("max_depth", [6]), ("max_depth", 10**400), ("eta", -0.1), ("eta", {}), ("C", 1),
         ("n_estimators", 100), ("nthread", 64), ("objective", "count:poisson"))),
     ("/admin/training", {"params": {"x\u0000y": 1}}, "params"),
     ("/admin/training", {"model": "logistic", "params": {"eta": 0.1}}, "params.eta"),
     ("/admin/training", {"model": "logistic", "params": {"C": 0}}, "params.C"),
     ("/admin/training", {"model": "random_forest", "params": {"rounds": 10}}, "params.rounds")],
)  # fmt: skip
def test_wrong_parameters_are_refused_before_airflow_sees_them(
    client: httpx.Client, behind: Any, log_in: LogIn, path: str, body: Any, field: str
) -> None:
    answer = client.post(path, json=body, headers=log_in("root"))
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert behind.calls == []


@pytest.mark.parametrize("path", ["/admin/runs/training/..%2f..%2fpools", "/admin/runs/training/a%20b",
                                  "/admin/runs/training/r/tasks/..%2fx/log", "/admin/runs/everything/r"])  # fmt: skip
def test_odd_run_and_task_names_reach_no_upstream(client: httpx.Client, behind: Any, log_in: LogIn, path: str) -> None:
    assert client.get(path, headers=log_in("root")).status_code in (404, 422)
    assert behind.calls == []


def test_the_same_key_starts_a_pipeline_once(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    behind.airflow()
    root = log_in("root")
    key = {**root, "Idempotency-Key": "monday-morning"}
    runs = "/api/v2/dags/ingestion/dagRuns"
    asked = {"start": "2024-01-01"}

    behind.answers[f"POST {runs}"] = JSONResponse({"dag_run_id": "as asked"})
    first_id = "asked__" + hashlib.sha256(b"root\ningestion\nmonday-morning").hexdigest()[:32]
    behind.answers[f"GET {runs}/{first_id}"] = JSONResponse({}, 404)
    assert client.post("/admin/ingestion", json=asked, headers=key).status_code == 202
    assert json.loads(behind.calls[-1][3])["dag_run_id"] == first_id
    behind.answers[f"GET {runs}/{first_id}"] = JSONResponse({"conf": asked})
    before = len(behind.calls)
    again = client.post("/admin/ingestion", json=asked, headers=key)
    assert (again.status_code, again.json()["run_id"]) == (202, first_id)
    assert [call[0] for call in behind.calls[before:]] == ["GET"]
    other = client.post("/admin/ingestion", json={"start": "2023-01-01"}, headers=key)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert client.post("/admin/ingestion", headers={**root, "Idempotency-Key": "a b"}).status_code == 422
