"""Whatever the services behind the gateway answer, to each call it makes: nonsense is theirs, and is said to be."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

RUN_ID, REPORT = "manual__1", "a" * 32
RUNS, DAG_RUN = "/api/v2/dags/training/dagRuns", f"/api/v2/dags/training/dagRuns/{RUN_ID}"
TASK = f"{DAG_RUN}/taskInstances/fit"
MLFLOW = "/api/2.0/mlflow"
RUN: dict[str, Any] = {
    "dag_id": "training", "dag_run_id": RUN_ID, "state": "failed", "queued_at": None, "start_date": None,
    "end_date": None, "note": None, "conf": {},
}  # fmt: skip
INSTANCE = {
    "id": "1", "task_id": "fit", "state": "success", "try_number": 1, "start_date": None, "end_date": None,
    "duration": 1.5,
}  # fmt: skip
LOOK = {
    "info": {"run_id": REPORT, "start_time": 1_795_000_000_000, "experiment_id": "7"},
    "data": {"tags": [{"key": "drift", "value": "quiet"}], "metrics": []},
}
WELL = {
    "GET /api/v2/monitor/health": {"scheduler": {"status": "healthy"}}, "POST /auth/token": {"access_token": "t"},
    f"GET {RUNS}": {"dag_runs": [], "total_entries": 0}, f"POST {RUNS}": RUN, f"GET {DAG_RUN}": RUN,
    f"GET {RUNS}/asked": {}, f"PATCH {DAG_RUN}": RUN, f"GET {DAG_RUN}/taskInstances": {"task_instances": [INSTANCE]},
    f"GET {TASK}/xcomEntries/return_value": {"value": "{}"}, f"GET {TASK}": INSTANCE,
    f"GET {TASK}/logs/1": {"event": "well"},
    f"GET {MLFLOW}/experiments/get-by-name": {"experiment": {"experiment_id": "7"}},
    f"POST {MLFLOW}/runs/search": {"runs": [LOOK]}, f"GET {MLFLOW}/runs/get": {"run": LOOK},
    "GET /get-artifact": {"window_days": 7, "observations": {}, "served": {}},
    "POST /api/v2/dags/training/clearTaskInstances": {"task_instances": []},
}  # fmt: skip
ASKED = [
    ("GET /stations", "GET /stations"), ("GET /stations/Sydney/observations", "GET /stations/Sydney/observations"),
    ("POST /predict", "POST /predict"), ("GET /forecast", "GET /forecast"), ("GET /predictions", "GET /predictions"),
    ("GET /model", "GET /model"), ("GET /admin/models", "GET /models"), ("GET /admin/models/7", "GET /models/7"),
    ("POST /admin/models/4/promote", "POST /models/4/promote"),
    ("POST /admin/models/rollback", "POST /models/rollback"),
    ("GET /admin/ingestions", "GET /ingestions"), ("GET /admin/uploads", "GET /uploads"),
    ("GET /admin/ingestions/3/quarantine", "GET /ingestions/3/quarantine"),
    ("GET /admin/quarantine", "GET /quarantine"),
    ("POST /admin/quarantine/7/release", "POST /quarantine/7/release"), ("GET /admin/quality", "GET /quality"),
    ("GET /admin/data-quality", "GET /data-quality"), ("POST /admin/uploads?name=a.csv", "POST /uploads"),
    ("GET /admin/runs?dag=training", f"GET {RUNS}"), ("GET /admin/runs?dag=training", "POST /auth/token"),
    ("POST /admin/training", f"GET {RUNS}"), ("POST /admin/training", f"POST {RUNS}"),
    (f"GET /admin/runs/training/{RUN_ID}", f"GET {DAG_RUN}"),
    (f"GET /admin/runs/training/{RUN_ID}", f"GET {DAG_RUN}/taskInstances"),
    (f"GET /admin/runs/training/{RUN_ID}", f"GET {TASK}/xcomEntries/return_value"),
    (f"GET /admin/runs/training/{RUN_ID}/tasks/fit/log", f"GET {TASK}"),
    (f"GET /admin/runs/training/{RUN_ID}/tasks/fit/log", f"GET {TASK}/logs/1"),
    (f"POST /admin/runs/training/{RUN_ID}/cancel", f"GET {DAG_RUN}"),
    (f"POST /admin/runs/training/{RUN_ID}/tasks/fit/retry", f"GET {TASK}"),
    ("GET /admin/drift", f"GET {MLFLOW}/experiments/get-by-name"), ("GET /admin/drift", f"POST {MLFLOW}/runs/search"),
    (f"GET /admin/drift/{REPORT}", f"GET {MLFLOW}/runs/get"), (f"GET /admin/drift/{REPORT}", "GET /get-artifact"),
    (f"GET /admin/drift/{REPORT}/report", f"GET {MLFLOW}/runs/get"),
    (f"GET /admin/drift/{REPORT}/report", "GET /get-artifact"),
]  # fmt: skip
"""What is asked of the gateway, and the call behind it that is answered with nonsense."""

TEXTS = {
    "HTML": b"<html>ok</html>", "empty": b"", "null": b"null", "number": b"7", "text": b'"ok"', "NaN": b"NaN",
    "lists": b"[[null]]", "half": b'{"dag_runs": [', "not UTF-8": b'{"x": "\xff"}', "surrogate": b'["\\ud800"]',
    "deep": b"[" * 100_000, "digits": b"[" + b"9" * 5000 + b"]", "1e400": b"[1e400]", "infinity": b"[-Infinity]",
}  # fmt: skip


def wrongs(right: Any) -> Iterator[Any]:
    """What is right, with one part after the other left out or of another kind."""
    if isinstance(right, dict):
        for name, value in right.items():
            yield {other: right[other] for other in right if other != name}
            yield from ({**right, name: wrong} for wrong in wrongs(value))
    elif isinstance(right, list):
        yield from ([wrong] for entry in right for wrong in wrongs(entry))
        yield {"0": right}
    elif isinstance(right, str):
        yield from (7, ["x"], {"x": right})
    elif isinstance(right, int | float) and not isinstance(right, bool):
        yield from ("many", [right], 10**30 if right > 100 else {"x": right})


@pytest.fixture
def root(client: httpx.Client, log_in: Callable[[str], dict[str, str]], behind: Any) -> httpx.Client:
    client.headers.update(log_in("root"))
    behind.airflow()
    for call, value in WELL.items():
        behind.answers[call] = JSONResponse(value, 201 if call == "POST /auth/token" else 200)
    return client


def ask(root: httpx.Client, route: str) -> httpx.Response:
    method, path = route.split(" ", 1)
    if path.startswith("/admin/uploads?"):
        return root.request(method, path, content=b"a,b", headers={"Content-Type": "text/csv"})
    return root.request(method, path)


def test_nonsense_behind_is_a_502_that_says_whose_it_is(root: httpx.Client, behind: Any) -> None:
    wrong = []
    for name, text in TEXTS.items():
        for route, call in ASKED:
            right = dict(behind.answers)
            behind.answers[call] = Response(text, 201 if "token" in call else 200, media_type="application/json")
            if "token" in call:
                behind.answers[f"GET {RUNS}"] = JSONResponse({}, 401)
            answer = ask(root, route)
            behind.answers = right
            if name == "empty" and "/logs/" in call:
                assert answer.text == ""
            elif answer.status_code != 502 or not answer.json()["detail"].startswith(
                ("the model", "Airflow", "MLflow")
            ):
                wrong.append((name, route, call, answer.status_code))
    assert wrong == []


def test_one_part_missing_or_of_another_kind_is_never_a_500(root: httpx.Client, behind: Any) -> None:
    """Parts that we do not need may be anything; where the answer is 200 it can be read."""
    for route, call in ASKED:
        right = behind.answers.get(call)
        if right is None or "token" in call:
            continue
        for wrong in wrongs(WELL[call]):
            behind.answers[call] = JSONResponse(wrong)
            answer = ask(root, route)
            assert answer.status_code in (200, 202, 204, 404, 409, 502), (route, call, wrong, answer.text)
            if answer.headers.get("content-type") == "application/json":
                answer.json()
        behind.answers[call] = right


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("GET /api/v2/monitor/health", '{"scheduler": null}'), ("GET /api/v2/monitor/health", "<html>"),
        ("GET /api/v2/monitor/health", '{"scheduler": {"status": 7}}'), ("GET /health", "<html>all is well</html>"),
        ("GET /state", '{"model_version": 3}'), ("GET /state", "[]"), ("GET /state", "\ud800"),
        ("GET /state", '{"model_version": null, "model_problem": null, "simulated": null}'),
    ],
)  # fmt: skip
def test_status_says_down_of_who_answers_nonsense(root: httpx.Client, behind: Any, call: str, text: str) -> None:
    behind.answers[call] = Response(text.encode("utf-8", "surrogatepass"), media_type="application/json")
    answer = root.get("/status")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    (down,) = [part for part in answer.json()["dependencies"] if part["state"] == "down"]
    assert " " in down["detail"]


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/octet-stream", ""])
def test_an_answer_that_says_to_be_no_json_is_not_read(root: httpx.Client, behind: Any, kind: str) -> None:
    for route, call in (("GET /stations", "GET /stations"), (f"GET /admin/runs/training/{RUN_ID}", f"GET {DAG_RUN}"),
                        ("GET /admin/drift", f"POST {MLFLOW}/runs/search")):  # fmt: skip
        behind.answers[call] = Response(json.dumps(WELL.get(call, [])), headers={"Content-Type": kind} if kind else {})
        assert ask(root, route).status_code == 502, call


@pytest.mark.parametrize(
    "text", ["[]", "<html>", "null", '{"title": 3, "status": "x", "detail": []}', '{"x": "\\ud800"}']
)
def test_a_refusal_in_no_form_we_know_is_a_502(root: httpx.Client, behind: Any, text: str) -> None:
    behind.answers["POST /predict"] = Response(text, 422, media_type="application/problem+json")
    assert root.post("/predict", json={}).status_code == 502
