import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from gateway.app import create_app
from gateway.dependencies import Services, _admin, _current, _login
from meteo.runtime import logs
from meteo.runtime.service_tokens import Caller, ServiceTokens

LogIn = Callable[[str], dict[str, str]]
PREDICTION = {"station": "Sydney", "date": "2024-01-01", "observation": {"humidity_3pm": 80}}

REPOSITORY = Path(__file__).resolve().parents[2]


def dependencies(services: Services) -> dict[str, set[Any]]:
    """What each route depends on."""

    def needed(dependant: Any) -> set[Any]:
        return {dependant.call}.union(*(needed(part) for part in dependant.dependencies))

    found = {}
    stack = list(create_app(services, []).router.routes)
    while stack:
        route = stack.pop()
        if isinstance(route, APIRoute):
            calls = needed(route.dependant)
            found.update({f"{method} {route.path_format}": calls for method in route.methods or ()})
        elif hasattr(route, "original_router"):
            stack.extend(route.original_router.routes)
    return found


def permissions(services: Services) -> dict[str, str]:
    """Who may call each route."""
    return {route: "admin" if _admin in calls else "user" if _current in calls else "anyone"
            for route, calls in dependencies(services).items()}  # fmt: skip


def test_every_route_is_for_whom_the_table_says(services: Services) -> None:
    """A route without a declared permission is open to anyone, which the table does not say of any new one."""
    told: dict[str, str] = {}
    for line in (REPOSITORY / "docs/permissions.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            allowed = [role for role, mark in zip(("anyone", "user", "admin"), cells[1:], strict=True) if mark == "yes"]
            told[cells[0]] = allowed[0]
    assert permissions(services) == told


def test_an_api_key_may_call_what_the_page_says(
    client: httpx.Client, services: Services, log_in: LogIn, behind: Any
) -> None:
    lines = (REPOSITORY / "docs/permissions.md").read_text(encoding="utf-8").splitlines()
    told = {line.strip("- `") for line in lines if line.startswith("- `")}
    declared = {route for route, calls in dependencies(services).items() if _login in calls}
    assert declared == told
    root = log_in("root")
    made = client.post("/me/keys", json={"label": "x"}, headers=root).json()
    key = {"Authorization": f"Bearer {made['key']}"}
    admins = {route for route, who in permissions(services).items() if who == "admin"}
    for route in sorted(declared | admins):
        method, path = route.split()
        filled = path.replace("{version}", "1").replace("{prefix}", made["prefix"]).replace("{username}", "ann")
        answer = client.request(method, filled.replace("{dag}", "training"), headers=key)
        assert (answer.status_code, "login" in answer.json()["detail"]) == (403, True), route
    assert behind.calls == []
    refused = [entry["detail"]["path"] for entry in services.audit.latest(200, "root", "access")]
    assert len(refused) == len(admins), "who tries an admin's route is in the audit"
    assert client.get("/me/keys", headers=root).json()[0]["prefix"] == made["prefix"]


def test_anonymous_calls_are_refused_and_admin_routes_refuse_users(
    client: httpx.Client, services: Services, log_in: LogIn
) -> None:
    bearer = log_in("ann")
    for route, who in permissions(services).items():
        if who == "anyone":
            continue
        method, path = route.split()
        concrete = (
            path.replace("{station}", "Sydney")
            .replace("{dag}", "training")
            .replace("{run_id}", "r")
            .replace("{task}", "t")
            .replace("{version}", "1")
        )
        assert client.request(method, concrete).status_code == 401, route
        if who == "admin":
            assert client.request(method, concrete, headers=bearer).status_code == 403, route


def test_a_prediction_goes_through_as_it_is_on_behalf_of_the_user(
    client: httpx.Client, behind: Any, log_in: LogIn
) -> None:
    body = json.dumps(PREDICTION, indent=3).encode()
    answer = client.post("/predict", content=body, headers={
        **log_in("ann"), "X-Request-ID": "request-0001", "X-User": "root", "X-Role": "admin",
        "Forwarded": "for=1.2.3.4",
    })  # fmt: skip
    assert answer.json()["probability"] == 0.5
    _, _, headers, sent = behind.calls[-1]
    assert sent == body
    assert headers["x-request-id"] == "request-0001"
    assert ServiceTokens("s" * 40).caller(headers["authorization"]) == Caller("ann", "user", "gateway")
    assert not {"x-user", "x-role", "forwarded", "cookie"} & set(headers)


def test_a_refusal_of_the_model_api_is_passed_on_as_it_is(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    problem = {"title": "Invalid input", "status": 422, "detail": "x", "errors": [{"field": "station", "message": "?"}]}
    behind.answers["POST /predict"] = JSONResponse(problem, 422, media_type="application/problem+json")
    answer = client.post("/predict", json=PREDICTION, headers=log_in("ann"))
    assert (answer.status_code, answer.json()) == (422, {**problem, "instance": "/predict"})
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "nonsense", [HTMLResponse("<html>ok</html>"), JSONResponse({}, 401), HTMLResponse("proxy error", 502)]
)
def test_nonsense_from_upstream_is_a_502(client: httpx.Client, behind: Any, log_in: LogIn, nonsense: Any) -> None:
    behind.answers["GET /stations"] = nonsense
    answer = client.get("/stations", headers=log_in("ann"))
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/stations/..%2f..%2fstate/observations", "/stations/Sydney%00/observations",
                                  "/stations/sydney/observations", "/stations/%2e%2e/observations"])  # fmt: skip
def test_a_path_that_is_no_station_reaches_no_upstream(
    client: httpx.Client, behind: Any, log_in: LogIn, path: str
) -> None:
    assert client.get(path, headers=log_in("ann")).status_code in (404, 422)
    assert behind.calls == []


def test_observations_are_asked_for_by_station_and_range(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    client.get("/stations/Sydney/observations?start=2024-01-01&end=2024-01-02&limit=9", headers=log_in("ann"))
    assert behind.calls[-1][1] == "/stations/Sydney/observations"
    wrong = client.get("/stations/Sydney/observations?start=yesterday", headers=log_in("ann"))
    assert [error["field"] for error in wrong.json()["errors"]] == ["start"]


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


def test_an_expired_airflow_token_is_renewed_once(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    behind.airflow()
    behind.answers["GET /api/v2/dags/training/dagRuns"] = JSONResponse({"detail": "expired"}, 401)
    assert client.get("/admin/runs?dag=training", headers=log_in("root")).status_code == 502
    asked = [path for _, path, _, _ in behind.calls]
    assert asked == ["/auth/token", "/api/v2/dags/training/dagRuns"]
    client.get("/admin/runs?dag=training", headers=log_in("root"))
    again = [path for _, path, _, _ in behind.calls][2:]
    assert again == ["/api/v2/dags/training/dagRuns", "/auth/token", "/api/v2/dags/training/dagRuns"]


def test_status_tells_the_truth_of_every_part(client: httpx.Client, behind: Any) -> None:
    behind.airflow()
    found = client.get("/status").json()
    assert (found["status"], found["simulated"], found["model_version"]) == ("ok", True, "3")
    behind.answers["GET /api/v2/monitor/health"] = JSONResponse({"scheduler": {"status": "unhealthy"}})
    found = client.get("/status").json()
    assert found["status"] == "degraded"
    states = {part["name"]: (part["state"], part["detail"]) for part in found["dependencies"]}
    assert states == {
        "api_model": ("up", None), "mlflow": ("up", None), "airflow": ("down", "scheduler is unhealthy"),
    }  # fmt: skip


def test_the_log_line_tells_who_asked_what_and_how_long_the_upstream_took(
    client: httpx.Client, log_in: LogIn, behind: Any
) -> None:
    ann = log_in("ann")
    stream = io.StringIO()
    logs.configure("gateway", "info", stream)
    client.get("/stations", headers={**ann, "X-Request-ID": "request-0042"})
    client.get("/stations/x%0Ay/observations", headers=ann)
    client.get("/nowhere")
    logs.configure("gateway", "error")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    first, second, third = [line for line in lines if line["event"] == "request"]
    assert (first["user"], first["route"], first["status"], first["request_id"]) == (
        "ann", "/stations", 200, "request-0042",
    )  # fmt: skip
    assert 0 < first["upstream_ms"] <= first["ms"]
    assert (second["route"], second["status"]) == ("unmatched", 422)
    assert (third["route"], third["status"], "user" in third) == ("unmatched", 404, False)
    assert ann["Authorization"][7:] not in stream.getvalue()


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


def test_a_promotion_is_passed_on_and_audited_with_before_and_after(
    client: httpx.Client, behind: Any, log_in: LogIn, services: Services
) -> None:
    problem = {"title": "Conflict", "status": 409, "detail": "no"}
    behind.answers["POST /models/5/promote"] = JSONResponse(problem, 409, media_type="application/problem+json")
    root = log_in("root")
    why = {"reason": "better in the tropics", "expected": "3"}
    assert client.post("/admin/models/4/promote", json=why, headers=root).json() == {"version": "4", "previous": "3"}
    assert json.loads(behind.calls[-1][3]) == why
    assert client.post("/admin/models/5/promote", headers=root).status_code == 409
    assert client.post("/admin/models/x/promote", headers=root).status_code == 404
    assert client.post("/admin/models/4/promote", json={"why": "x"}, headers=root).status_code == 422
    assert client.post("/admin/models/rollback", headers=root).json()["version"] == "3"
    back, refused, done = services.audit.latest(3)
    assert (done["action"], done["outcome"]) == ("promote model", "success")
    assert done["detail"] == {"version": "4", "reason": "better in the tropics", "before": "3", "after": "4"}
    assert (refused["outcome"], refused["detail"]) == ("answered 409", {"version": "5", "reason": ""})
    assert (back["action"], back["detail"]) == ("roll back model", {"before": "4", "after": "3"})


def test_a_promotion_that_cannot_be_asked_for_is_audited_too(
    client: httpx.Client, behind: Any, log_in: LogIn, services: Services
) -> None:
    behind.answers["POST /models/4/promote"] = PlainTextResponse("<html>")
    assert client.post("/admin/models/4/promote", headers=log_in("root")).status_code == 502
    (last,) = services.audit.latest(1)
    assert (last["action"], last["outcome"]) == ("promote model", "Upstream failed")


def test_a_file_that_is_handed_in_is_passed_on_as_it_is_and_audited(
    client: httpx.Client, behind: Any, log_in: LogIn, services: Services
) -> None:
    behind.answers["POST /uploads"] = JSONResponse({"id": 1, "name": "a.csv"}, 201)
    name, root = {"name": "a.csv"}, {**log_in("root"), "Content-Type": "text/csv"}
    assert client.post("/admin/uploads", content=b"a,b\n\xff", params=name, headers=root).status_code == 201
    assert behind.calls[-1][:2] == ("POST", "/uploads")
    (last,) = services.audit.latest(1)
    assert (last["action"], last["outcome"], last["detail"]) == ("hand in file", "success", {"name": "a.csv"})
    wrong = {**root, "Content-Type": "application/json"}
    assert client.post("/admin/uploads", content=b"{}", params=name, headers=wrong).status_code == 415


def test_a_decision_on_a_refused_row_is_passed_on_and_audited(
    client: httpx.Client, behind: Any, log_in: LogIn, services: Services
) -> None:
    problem = {"title": "Conflict", "status": 409, "detail": "decided already"}
    behind.answers["POST /quarantine/8/discard"] = JSONResponse(problem, 409, media_type="application/problem+json")
    root = log_in("root")
    assert client.post("/admin/quarantine/7/release", headers=root).status_code == 200
    assert client.post("/admin/quarantine/8/discard", headers=root).status_code == 409
    assert client.post("/admin/quarantine/8/burn", headers=root).status_code == 422
    assert [call[:2] for call in behind.calls[-2:]] == [
        ("POST", "/quarantine/7/release"), ("POST", "/quarantine/8/discard"),
    ]  # fmt: skip
    second, first = services.audit.latest(2)
    assert (first["actor"], first["action"], first["outcome"], first["detail"]) == (
        "root", "release quarantined row", "success", {"row": 7},
    )  # fmt: skip
    assert (second["action"], second["outcome"]) == ("discard quarantined row", "answered 409")


@pytest.mark.parametrize(
    ("path", "params", "upstream"),
    [
        ("/admin/ingestions", {"limit": 5}, "/ingestions"),
        ("/admin/ingestions/3/quarantine", {}, "/ingestions/3/quarantine"),
        ("/admin/quarantine", {"state": "waiting"}, "/quarantine"),
        ("/admin/data-quality", {"start": "2024-01-01"}, "/data-quality"),
        ("/admin/models", {}, "/models"),
        ("/admin/models/7", {}, "/models/7"),
    ],
)
def test_what_came_in_is_read_from_the_model_api(
    client: httpx.Client, behind: Any, log_in: LogIn, path: str, params: dict[str, str], upstream: str
) -> None:
    assert client.get(path, params=params, headers=log_in("root")).status_code == 200
    assert behind.calls[-1][1] == upstream
    assert client.get(path, params=params, headers=log_in("ann")).status_code == 403


def test_a_batch_and_the_map_are_passed_on_with_their_kind(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    ann = log_in("ann")
    behind.answers["POST /predict/batch"] = PlainTextResponse("station,date\r\n", media_type="text/csv")
    kinds = {"Content-Type": "text/csv", "Accept": "text/csv"}
    answer = client.post("/predict/batch", content=b"station,date\nSydney,2024-01-01\n", headers={**ann, **kinds})
    assert answer.headers["content-type"].startswith("text/csv")
    _, _, headers, body = behind.calls[-1]
    assert (headers["content-type"], headers["accept"]) == ("text/csv", "text/csv")
    assert body == b"station,date\nSydney,2024-01-01\n"
    assert headers["authorization"] != ann["Authorization"]
    assert client.get("/forecast", params={"date": "2024-01-01"}, headers=ann).status_code == 200
    assert behind.calls[-1][1] == "/forecast"
    assert client.get("/forecast", params={"date": "soon"}, headers=ann).status_code == 422
