from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from gateway.dependencies import Services

LogIn = Callable[[str], dict[str, str]]


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


def test_what_a_file_must_hold_is_said_without_asking_anybody(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    said = client.get("/admin/data-contract", headers=log_in("root")).json()
    rain = next(field for field in said["fields"] if field["name"] == "rainfall")
    assert (rain["unit"], rain["minimum"], rain["maximum"]) == ("mm", 0, 1200)
    assert said["version"] == "1.0"
    assert behind.calls == []
    assert client.get("/admin/data-contract", headers=log_in("ann")).status_code == 403
