from fastapi.testclient import TestClient


def test_a_body_is_parsed_strictly_but_dates_are_text(client: TestClient) -> None:
    assert client.post("/body", content='{"start": "2024-01-01"}').json() == "2024-01-01"
    assert client.post("/body").json() == "None"
    refused = client.post("/body", content='{"start": 20240101, "canary": 1}')
    assert refused.status_code == 422
    assert [error["field"] for error in refused.json()["errors"]] == ["start", "canary"]
