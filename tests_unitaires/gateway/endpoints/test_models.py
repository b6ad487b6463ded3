import json
from collections.abc import Callable
from typing import Any

import httpx
from starlette.responses import JSONResponse, PlainTextResponse

from gateway.dependencies import Services

LogIn = Callable[[str], dict[str, str]]


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
