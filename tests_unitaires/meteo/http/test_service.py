from fastapi.testclient import TestClient


def test_health_and_metrics_tell_the_truth(client: TestClient) -> None:
    client.get("/number/5")
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").status_code == 200
    client.post("/unready")
    unready = client.get("/health/ready")
    assert (unready.status_code, unready.json()["detail"]) == (503, "no model yet")
    text = client.get("/metrics").text
    assert 'http_requests_total{method="GET",route="/number/{value}",status="200"} 1.0' in text
