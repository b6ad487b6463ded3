"""Spans as a collector receives them over OTLP."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from meteo.http.service import install_service
from meteo.runtime import tracing

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collected(serve: Callable[[Any], str]) -> Iterator[list[tuple[str, Any]]]:
    """Every span that a collector got, with the service it is of; this process exports to it."""
    spans: list[tuple[str, Any]] = []

    async def take(request: Request) -> Response:
        sent = ExportTraceServiceRequest.FromString(await request.body())
        for of in sent.resource_spans:
            (service,) = [each.value.string_value for each in of.resource.attributes if each.key == "service.name"]
            spans.extend((service, span) for scope in of.scope_spans for span in scope.spans)
        return Response()

    tracing.configure("gateway", serve(Starlette(routes=[Route("/v1/traces", take, methods=["POST"])])))
    yield spans
    tracing.configure("gateway", "")


def service(seen: list[dict[str, str]]) -> FastAPI:
    app = FastAPI()

    async def missing() -> None:
        return None

    install_service(app, CollectorRegistry(), missing)

    @app.get("/stations/{name}")
    def station(name: str) -> str:
        seen.append(tracing.headers())
        if name == "broken":
            raise RuntimeError(name)
        return name

    return app


def test_a_request_is_a_span_below_that_of_who_asks(
    serve: Callable[[Any], str], collected: list[tuple[str, Any]]
) -> None:
    seen: list[dict[str, str]] = []
    address = serve(service(seen))
    asked = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "request-0001"}
    for name, status in (("Sydney", 200), ("broken", 500)):
        assert httpx.get(f"{address}/stations/{name}", headers=asked, trust_env=False, timeout=60).status_code == status
    tracing.configure("gateway", "")  # sends what waits
    (first, fine), (_, broken) = collected
    assert (first, fine.name) == ("gateway", "GET /stations/{name}")
    assert (fine.trace_id.hex(), fine.parent_span_id.hex()) == (TRACE, PARENT)
    attributes = {each.key: each.value for each in fine.attributes}
    assert attributes["request.id"].string_value == "request-0001"
    assert attributes["http.response.status_code"].int_value == 200
    assert broken.status.code == 2
    assert fine.status.code == 0
    assert seen[0]["traceparent"] == f"00-{TRACE}-{fine.span_id.hex()}-01", "whom we ask is below us"


def test_without_a_collector_nothing_is_made_and_nothing_is_said(serve: Callable[[Any], str]) -> None:
    seen: list[dict[str, str]] = []
    assert httpx.get(f"{serve(service(seen))}/stations/Sydney", trust_env=False).status_code == 200
    assert seen == [{}]
