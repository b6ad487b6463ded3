from collections.abc import Callable
from typing import Any

import httpx
from starlette.responses import JSONResponse

LogIn = Callable[[str], dict[str, str]]


def test_an_expired_airflow_token_is_renewed_once(client: httpx.Client, behind: Any, log_in: LogIn) -> None:
    behind.airflow()
    behind.answers["GET /api/v2/dags/training/dagRuns"] = JSONResponse({"detail": "expired"}, 401)
    assert client.get("/admin/runs?dag=training", headers=log_in("root")).status_code == 502
    asked = [path for _, path, _, _ in behind.calls]
    assert asked == ["/auth/token", "/api/v2/dags/training/dagRuns"]
    client.get("/admin/runs?dag=training", headers=log_in("root"))
    again = [path for _, path, _, _ in behind.calls][2:]
    assert again == ["/api/v2/dags/training/dagRuns", "/auth/token", "/api/v2/dags/training/dagRuns"]
