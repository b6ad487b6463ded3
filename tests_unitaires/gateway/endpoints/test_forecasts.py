import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from meteo.runtime.service_tokens import Caller, ServiceTokens

LogIn = Callable[[str], dict[str, str]]


PREDICTION = {"station": "Sydney", "date": "2024-01-01", "observation": {"humidity_3pm": 80}}


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
