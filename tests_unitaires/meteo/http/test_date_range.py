import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    "params", [{}, {"start": "2017-01-01"}, {"end": "2017-01-01"}, {"start": "2017-01-01", "end": "2017-01-01"}]
)
def test_either_end_may_be_open(client: TestClient, params: dict[str, str]) -> None:
    assert client.get("/days", params=params).json() == params


def test_an_end_before_the_start_is_named(client: TestClient) -> None:
    answer = client.get("/days", params={"start": "2017-01-02", "end": "2017-01-01"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["end"]
