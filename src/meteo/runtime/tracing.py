"""OpenTelemetry: a span for each request, exported by OTLP to where a setting says; without it, nothing is made.

Spans of services that ask each other hang together by `traceparent`, and carry the request id that the logs have.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import context, propagate, trace
from starlette.types import Scope

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_provider: "TracerProvider | None" = None


class Began(NamedTuple):
    """A span under way, and what was current before it."""

    span: trace.Span
    token: Any


def configure(service: str, endpoint: str) -> None:
    """Export the spans of this process to the OTLP collector at `endpoint`, such as http://localhost:4318; nowhere if
    it is empty. What exports is only imported then: a service without a collector starts without it."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None
    if endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        _provider = TracerProvider(resource=Resource.create({"service.name": service}))
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        _provider.add_span_processor(BatchSpanProcessor(exporter))


def begin(scope: Scope) -> Began | None:
    """A span of the request, below that of whoever asks; None where nobody listens."""
    if _provider is None:
        return None
    given = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    above = propagate.extract(given)
    span = _provider.get_tracer("meteo").start_span(scope["method"], above, trace.SpanKind.SERVER)
    return Began(span, context.attach(trace.set_span_in_context(span)))


def end(began: Began | None, method: str, route: str, status: int, request_id: str) -> None:
    """The request was answered."""
    if began is None:
        return
    span, token = began
    span.update_name(f"{method} {route}")
    span.set_attributes(
        {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "request.id": request_id,
        }
    )
    if status >= 500:
        span.set_status(trace.StatusCode.ERROR)
    span.end()
    context.detach(token)


def headers() -> dict[str, str]:
    """What tells another service below which span it is asked."""
    carried: dict[str, str] = {}
    if _provider is not None:
        propagate.inject(carried)
    return carried
