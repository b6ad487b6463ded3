"""Faults on the links of the gateway; what is seen is the table in docs/threat-model.md, which these tests read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import JSONResponse

from gateway.airflow import Airflow
from gateway.dependencies import Services
from gateway.mlflow import Mlflow
from gateway.model_api import ModelApi
from gateway.upstream import Upstream
from meteo.runtime.service_tokens import ServiceTokens
from streamlit_app.client import Gateway

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("part", ["model API", "Airflow", "MLflow"])
def test_each_fault_on_a_link_costs_a_deadline_and_no_restart(
    part: str, behind: Any, serve: Callable[[Any], str], services: Services, open_door: Callable[[Services], int],
    fault_proxy: Callable[[str], Any], each_fault: Callable[..., None], outcome: Callable[..., set[int]],
) -> None:  # fmt: skip
    behind.airflow()
    behind.answers["GET /api/2.0/mlflow/experiments/get-by-name"] = JSONResponse({"error_code": "X"}, 404)
    behind.answers["GET /stations"] = JSONResponse([])
    proxy = fault_proxy(serve(behind.app()))
    upstream = Upstream(part, proxy.address, 1.5)
    on_it: dict[str, Any] = {
        "model API": {"model_api": ModelApi(upstream, ServiceTokens("s" * 40))},
        "Airflow": {"airflow": Airflow(upstream, services.users._engine, "gateway", "airflow-password")},
        "MLflow": {"mlflow": Mlflow(upstream, "monitoring")},
    }
    console = Gateway(f"http://127.0.0.1:{open_door(replace(services, **on_it[part]))}")
    access = console.log_in("root", PASSWORD).access
    asks: dict[str, Callable[[], object]] = {
        "model API": lambda: console.read(access, "stations"),
        "Airflow": lambda: console.start(access, "ingestion", {}),
        "MLflow": lambda: console.read(access, "admin", "drift"),
    }
    start = ("POST", "/api/v2/dags/ingestion/dagRuns")
    each_fault(f"gateway → {part}", proxy, lambda: outcome(asks[part]),
               count=lambda: sum(call[:2] == start for call in behind.calls))  # fmt: skip
