"""Drift reports, read from what monitoring left in MLflow."""

from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

ID, OTHER = "a" * 32, "b" * 32
PREFIX = "/api/2.0/mlflow"


def run(report: str, drift: str | None = "drift", experiment: str = "7") -> dict[str, Any]:
    tags = [{"key": "day", "value": "2026-11-20"}] + ([{"key": "drift", "value": drift}] if drift else [])
    metrics = [{"key": "drift.observations.alarms", "value": 2.0}, {"key": "drift.observations.share", "value": 0.05}]
    return {
        "info": {"run_id": report, "start_time": 1_795_000_000_000, "experiment_id": experiment},
        "data": {"tags": tags, "metrics": metrics},
    }


@pytest.fixture
def root(client: httpx.Client) -> httpx.Client:
    token = client.post("/token", data={"username": "root", "password": "correct horse battery"}).json()
    client.headers["Authorization"] = f"Bearer {token['access_token']}"
    return client


@pytest.fixture
def stored(behind: Any) -> dict[str, Response]:
    """MLflow with one look for drift."""
    answers: dict[str, Response] = behind.answers
    experiment = {"experiment": {"experiment_id": "7"}}
    answers[f"GET {PREFIX}/experiments/get-by-name"] = JSONResponse(experiment)
    answers[f"POST {PREFIX}/runs/search"] = JSONResponse({"runs": [run(ID), run(OTHER, None)]})
    answers[f"GET {PREFIX}/runs/get"] = JSONResponse({"run": run(ID)})
    side = {"verdict": "drift", "rows": 343, "alarms": [{"station": "Sydney"}], "share": 0.05, "columns": []}
    found = {"verdict": "drift", "day": "2026-11-20", "window_days": 7, "observations": side, "served": side}
    answers["GET /get-artifact"] = JSONResponse(found)
    return answers


def test_the_looks_for_drift_are_listed_and_other_runs_are_not(root: httpx.Client, stored: Any) -> None:
    (report,) = root.get("/admin/drift").json()
    assert (report["id"], report["day"], report["verdict"]) == (ID, "2026-11-20", "drift")
    assert report["alarms"] == {"observations": 2, "served": 0}
    assert report["share"]["observations"] == 0.05
    dayless = run(ID, "not enough data")
    dayless["data"]["tags"] = [tag for tag in dayless["data"]["tags"] if tag["key"] != "day"]
    stored[f"POST {PREFIX}/runs/search"] = JSONResponse({"runs": [dayless]})
    assert root.get("/admin/drift").json()[0]["day"] is None, "nothing is stored yet"
    stored[f"GET {PREFIX}/experiments/get-by-name"] = JSONResponse({}, 404)
    assert root.get("/admin/drift").json() == [], "before the first look"


def test_one_look_has_its_alarms(root: httpx.Client, stored: Any) -> None:
    report = root.get(f"/admin/drift/{ID}").json()
    assert report["observations"]["alarms"] == [{"station": "Sydney"}]
    assert report["window_days"] == 7


def test_the_page_is_shown_without_an_origin_and_without_a_network(
    root: httpx.Client, stored: Any, behind: Any
) -> None:
    stored["GET /get-artifact"] = HTMLResponse("<script>alert(document.cookie)</script>")
    page = root.get(f"/admin/drift/{ID}/report", params={"of": "served"})
    policy = page.headers["content-security-policy"].split("; ")
    assert {"sandbox allow-scripts", "default-src 'none'"} <= set(policy), "no allow-same-origin, nothing to connect to"
    assert page.text == "<script>alert(document.cookie)</script>"
    stored["GET /get-artifact"] = JSONResponse({}, 404)
    assert root.get(f"/admin/drift/{ID}/report").status_code == 404


@pytest.mark.parametrize("other", [run(OTHER, None), run(OTHER, experiment="1")])
def test_runs_that_are_no_looks_for_drift_are_not_shown(root: httpx.Client, stored: Any, other: Any) -> None:
    stored[f"GET {PREFIX}/runs/get"] = JSONResponse({"run": other})
    for path in ("", "/report"):
        assert root.get(f"/admin/drift/{OTHER}{path}").status_code == 404
    stored[f"GET {PREFIX}/runs/get"] = JSONResponse({}, 404)
    assert root.get(f"/admin/drift/{OTHER}").status_code == 404


@pytest.mark.parametrize(
    "report", ["1", "..", "A" * 32, "a" * 33, "%2e%2e%2fmodels", "never-was", "a%00b", "%F0%9F%92%A7", "x" * 3000]
)
def test_what_is_no_id_never_reaches_mlflow(root: httpx.Client, behind: Any, report: str) -> None:
    before = len(behind.calls)
    for path in ("", "/report"):
        assert root.get(f"/admin/drift/{report}{path}").status_code == 404
    assert len(behind.calls) == before


def test_an_mlflow_that_fails_is_said_to(root: httpx.Client, stored: Any) -> None:
    stored["GET /get-artifact"] = JSONResponse({}, 500)
    for path in ("", "/report"):
        answer = root.get(f"/admin/drift/{ID}{path}")
        assert (answer.status_code, answer.json()["detail"]) == (502, "MLflow answered 500")
