import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from fastapi.routing import APIRoute

from gateway.app import create_app
from gateway.dependencies import Services, _admin, _current, _login
from gateway.endpoints import forecasts
from meteo.runtime import logs

LogIn = Callable[[str], dict[str, str]]


REPOSITORY = Path(__file__).resolve().parents[2]


def dependencies(services: Services) -> dict[str, set[Any]]:
    """What each route depends on; one that asks for its user itself says so in the documentation."""

    def needed(dependant: Any) -> set[Any]:
        return {dependant.call}.union(*(needed(part) for part in dependant.dependencies))

    found = {}
    stack = list(create_app(services, []).router.routes)
    while stack:
        route = stack.pop()
        if isinstance(route, APIRoute):
            calls = needed(route.dependant)
            if (route.openapi_extra or {}).get("security"):
                calls.add(_current)
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


def test_a_route_that_asks_for_its_user_itself_does(client: httpx.Client) -> None:
    itself = [route for route in forecasts.direct.routes if isinstance(route, APIRoute)]
    assert [route.path for route in itself] == ["/predict"]
    for route in itself:
        answer = client.post(route.path, json={})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


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
