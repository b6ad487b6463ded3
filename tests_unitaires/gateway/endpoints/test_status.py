from typing import Any

import httpx
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from gateway.app import create_app
from gateway.dependencies import Services


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
