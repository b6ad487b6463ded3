"""A batch is one request, and is charged by its rows as well."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

LogIn = Callable[[str], dict[str, str]]


def test_a_batch_is_charged_by_its_rows_before_it_is_worked_out(
    client: httpx.Client, behind: Any, log_in: LogIn
) -> None:
    def ask(rows: int, who: dict[str, str]) -> httpx.Response:
        behind.answers["POST /predict/batch"] = JSONResponse([], headers={"Batch-Rows": str(rows)})
        return client.post("/predict/batch", json=[], headers=who)

    ann, root = log_in("ann"), log_in("root")
    first = ask(80_000, ann)
    assert first.status_code == 200
    assert behind.calls[-1][2]["rows-left"] == "200000"
    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("200000", "120000")
    assert ask(80_000, ann).status_code == 200
    refused = ask(80_000, ann)
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert int(refused.headers["Retry-After"]) > 0
    assert "80,000 rows" in refused.json()["detail"]
    assert behind.calls[-1][2]["rows-left"] == "40000"
    assert ask(40_000, ann).headers["RateLimit-Remaining"] == "0", "what is refused is not charged"
    assert ask(1, ann).status_code == 429
    assert ask(80_000, root).headers["RateLimit-Remaining"] == "4920000"
    answers = [ask(0, ann) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429], "each is one of ten requests, too"
    assert answers[0].headers["RateLimit-Limit"] == "10", "a batch that was refused tells of the requests"


def test_what_the_model_api_refuses_for_its_rows_is_refused_in_our_words_and_not_charged(
    client: httpx.Client, behind: Any, log_in: LogIn
) -> None:
    ann = log_in("ann")
    problem = {"title": "Too Many Requests", "status": 429, "detail": "too many", "request_id": "r"}
    behind.answers["POST /predict/batch"] = JSONResponse(
        problem, 429, {"Batch-Rows": "30"}, media_type="application/problem+json"
    )
    refused = client.post("/predict/batch", json=[], headers=ann)
    assert refused.status_code == 429
    assert refused.json()["detail"].startswith("30 rows are more than is left to you")
    assert int(refused.headers["Retry-After"]) > 0
    behind.answers["POST /predict/batch"] = JSONResponse([], headers={"Batch-Rows": "1"})
    after = client.post("/predict/batch", json=[], headers=ann)
    assert after.headers["RateLimit-Remaining"] == "199999"


@pytest.mark.parametrize("nonsense", ["-5", "x", "1e9", "9" * 40])
def test_a_count_of_rows_that_is_none_is_told(client: httpx.Client, behind: Any, log_in: LogIn, nonsense: str) -> None:
    behind.answers["POST /predict/batch"] = JSONResponse([], headers={"Batch-Rows": nonsense})
    assert client.post("/predict/batch", json=[], headers=log_in("ann")).status_code == 502
