import runpy
from pathlib import Path
from typing import Any

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def journey() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "deploy/local/journey.py"))


def answering(*statuses: int) -> httpx.Client:
    answers = iter(statuses)

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(next(answers), json=[], headers={"Retry-After": "0"})

    return httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(answer))


def test_a_journey_asks_again_where_a_part_is_too_busy(journey: dict[str, Any]) -> None:
    with answering(503, 503, 200) as client:
        assert journey["runs"](client, "ingestion") == []


@pytest.mark.parametrize("statuses", [(500, 200), (503,) * 10 + (200,)])
def test_a_journey_ends_with_what_does_not_pass(journey: dict[str, Any], statuses: tuple[int, ...]) -> None:
    with answering(*statuses) as client, pytest.raises(httpx.HTTPStatusError):
        journey["runs"](client, "ingestion")
