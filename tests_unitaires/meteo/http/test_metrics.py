from prometheus_client import CollectorRegistry

from meteo.http.metrics import HttpMetrics, exposition


def test_requests_are_counted_by_route_and_status_and_timed_by_route() -> None:
    metrics = HttpMetrics(CollectorRegistry())
    for status, seconds in ((200, 0.02), (200, 0.2), (503, 5)):
        metrics.observe("POST", "/predict", status, seconds)
    metrics.observe("GET", "/me", 200, 0.001)
    text = exposition(metrics.registry).decode()
    assert 'http_requests_total{method="POST",route="/predict",status="200"} 2.0' in text
    assert 'http_requests_total{method="POST",route="/predict",status="503"} 1.0' in text
    assert 'http_request_duration_seconds_bucket{le="0.025",method="POST",route="/predict"} 1.0' in text
    assert 'http_request_duration_seconds_sum{method="POST",route="/predict"} 5.22' in text
    assert 'http_request_duration_seconds_count{method="GET",route="/me"} 1.0' in text
