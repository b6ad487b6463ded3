import socket

import httpx
import pytest

from streamlit_app.client import Gateway
from streamlit_app.metrics import ConsoleMetrics
from streamlit_app.session import ConsoleSessions


def test_prometheus_reads_requests_pages_and_open_sessions(gateway: Gateway, sessions: ConsoleSessions) -> None:
    metrics = ConsoleMetrics()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    metrics.serve("127.0.0.1", port, sessions.count)
    sessions.open(gateway.log_in("ann", "right password"))
    metrics.answered("GET", "/_stcore/health", 200)
    metrics.answered("GET", "/map", 200)
    metrics.answered("GET", "/history", 200)
    with metrics.page("Map"):
        pass
    with pytest.raises(ValueError, match="broken"), metrics.page("Map"):
        raise ValueError("broken")
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    assert 'http_requests_total{method="GET",route="/_stcore",status="200"} 1.0' in text
    assert 'http_requests_total{method="GET",route="page",status="200"} 2.0' in text, "whatever the page's name is"
    assert 'console_page_seconds_count{page="Map"} 2.0' in text
    assert "console_sessions 1.0" in text
    assert "process_resident_memory_bytes" in text
