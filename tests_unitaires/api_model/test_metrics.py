from fastapi.testclient import TestClient

BODY = {"station": "Sydney", "date": "2020-06-01", "observation": {"humidity_3pm": 90}}


def test_metrics_count_predictions_by_station_and_class(client: TestClient) -> None:
    client.post("/predict", json=BODY)
    text = client.get("/metrics").text
    assert 'predictions_total{rain_tomorrow="true",station="Sydney"} 1.0' in text
    assert 'model_version{name="rain-tomorrow"} 1.0' in text
