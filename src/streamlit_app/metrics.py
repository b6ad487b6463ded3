"""What Prometheus reads off the console, on a port of its own: the console's is for people."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

_KINDS = ("/_stcore", "/static", "/media", "/login", "/logout", "/language")
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)


class ConsoleMetrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "console_page_seconds",
            "Time that a run of a page's script took",
            ["page"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._sessions = Gauge("console_sessions", "Sessions that are open", registry=self.registry)

    def answered(self, method: str, path: str, status: int) -> None:
        """Count a request by what kind of thing was asked for."""
        kind = next((kind for kind in _KINDS if path.startswith(kind)), "page")
        self._requests.labels(method, kind, status).inc()

    @contextmanager
    def page(self, title: str) -> Iterator[None]:
        """Time a run of a page's script, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds.labels(title).observe(time.perf_counter() - began)

    def serve(self, host: str, port: int, sessions: Callable[[], int]) -> None:
        """Answer Prometheus from a thread of its own; `sessions` says how many are open."""
        self._sessions.set_function(sessions)
        start_http_server(port, host, self.registry)
