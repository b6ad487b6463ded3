from collections.abc import Callable
from typing import Any

import httpx
from starlette.responses import JSONResponse

LogIn = Callable[[str], dict[str, str]]


def test_predictions_are_counted_per_user_and_answers_say_what_is_left(
    client: httpx.Client, behind: Any, log_in: LogIn
) -> None:
    ann, root = log_in("ann"), log_in("root")
    left = [client.post("/predict", json={}, headers=ann).headers["RateLimit-Remaining"] for _ in range(10)]
    assert left == [str(number) for number in range(9, -1, -1)]
    refused = client.post("/predict", json={}, headers=ann)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (refused.headers["RateLimit-Limit"], refused.headers["RateLimit-Remaining"]) == ("10", "0")
    assert client.get("/stations", headers=ann).status_code == 200
    assert all(client.post("/predict", json={}, headers=root).status_code == 200 for _ in range(30))
    key = client.post("/me/keys", json={"label": "x"}, headers=ann).json()["key"]
    program = client.post("/predict", json={}, headers={"Authorization": f"Bearer {key}"})
    assert (program.status_code, program.headers["RateLimit-Limit"]) == (200, "600")


def test_a_body_beyond_the_limit_is_refused_early(client: httpx.Client, log_in: LogIn, behind: Any) -> None:
    headers = {**log_in("root"), "Content-Type": "text/csv"}
    calls = len(behind.calls)
    answer = client.post("/predict/batch", content=b"x" * 10_000_001, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert len(behind.calls) == calls

    def endless() -> Any:
        for _ in range(2000):
            yield b"y" * 10_000

    answer = client.post("/predict/batch", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_own_predictions_are_asked_for_with_checked_parameters(
    client: httpx.Client, behind: Any, log_in: LogIn
) -> None:
    behind.answers["GET /predictions"] = JSONResponse([])
    ann = log_in("ann")
    given = {"station": "Sydney", "start": "2024-01-01", "limit": "5"}
    assert client.get("/predictions", params=given, headers=ann).status_code == 200
    assert behind.calls[-1][1] == "/predictions"
    for wrong in ({"station": "Nowhere"}, {"start": "soon"}, {"limit": "0"}):
        assert client.get("/predictions", params=wrong, headers=ann).status_code == 422
