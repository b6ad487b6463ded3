import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    ("path", "status", "title"),
    [("/away", 503, "Unavailable"), ("/who", 401, "Not authenticated"), ("/wrong", 422, "Invalid input"),
     ("/nowhere", 404, "Not Found"), ("/body", 405, "Method Not Allowed"), ("/number/x", 422, "Invalid input"),
     ("/defect", 500, "Internal Server Error")],
)  # fmt: skip
def test_every_error_is_a_problem_with_the_request_id(client: TestClient, path: str, status: int, title: str) -> None:
    answer = client.get(path)
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["title"], body["instance"], body["type"]) == (title, path, "about:blank")
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert body["detail"]
    assert "canary" not in answer.text


def test_errors_name_the_field_and_say_when_to_come_back(client: TestClient) -> None:
    assert client.get("/wrong").json()["errors"] == [{"field": "station", "message": "unknown"}]
    assert client.get("/away").headers["Retry-After"] == "7"
    assert client.get("/who").headers["WWW-Authenticate"] == "Bearer"
