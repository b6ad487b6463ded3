from typing import Any

import httpx
from starlette.responses import JSONResponse


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
