"""Pipelines are started one run at a time, however many ask at once and of however many gateways."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.app import create_app
from gateway.dependencies import Services
from gateway.upstream import Upstream

RUNS = "/api/v2/dags/{dag}/dagRuns"


class SlowAirflow:
    """Takes its time to answer, and to make a run that it has been asked for."""

    def __init__(self) -> None:
        self.runs: dict[str, list[dict[str, Any]]] = {}

    async def answer(self, request: Request) -> Response:
        await asyncio.sleep(0.1)
        dag = request.path_params["dag"]
        if request.method == "GET":
            runs = self.runs.get(dag, [])
            return JSONResponse({"dag_runs": runs, "total_entries": len(runs)})
        body = await request.json()
        await asyncio.sleep(0.1)
        runs = self.runs.setdefault(dag, [])
        runs.append({"dag_run_id": body.get("dag_run_id", f"manual__{len(runs)}"), "conf": body["conf"]})
        return JSONResponse(runs[-1])

    async def run(self, request: Request) -> Response:
        runs = self.runs.get(request.path_params["dag"], [])
        known = [run for run in runs if run["dag_run_id"] == request.path_params["run_id"]]
        return JSONResponse(known[0]) if known else JSONResponse({}, 404)

    async def token(self, _: Request) -> Response:
        return JSONResponse({"access_token": "token"}, 201)

    def app(self) -> Starlette:
        return Starlette(routes=[
            Route("/auth/token", self.token, methods=["POST"]), Route(RUNS, self.answer, methods=["GET", "POST"]),
            Route(RUNS + "/{run_id}", self.run),
        ])  # fmt: skip


@pytest.fixture
def airflow() -> SlowAirflow:
    return SlowAirflow()


@pytest.fixture
def gateways(
    serve: Callable[[Any], str], airflow: SlowAirflow, database: str, make_services: Callable[..., Services]
) -> list[str]:
    """The addresses of two gateways that share a database."""
    behind = serve(airflow.app())
    addresses = []
    for _ in range(2):
        upstreams = [Upstream(name, behind, 5) for name in ("the model API", "Airflow", "MLflow")]
        addresses.append(serve(create_app(make_services(database, upstreams), upstreams)))
        httpx.get(f"{addresses[-1]}/nowhere", trust_env=False)  # FastAPI completes routes when it first looks at them
    return addresses


def all_at_once(gateways: list[str], path: str, **headers: str) -> list[httpx.Response]:
    """The answers to six equal requests, three to each gateway."""
    form = {"username": "root", "password": "correct horse battery"}
    pair = httpx.post(f"{gateways[0]}/token", data=form, trust_env=False).json()
    headers["Authorization"] = f"Bearer {pair['access_token']}"
    with ThreadPoolExecutor(6) as pool, httpx.Client(trust_env=False, timeout=30, headers=headers) as client:
        return list(pool.map(lambda address: client.post(f"{address}{path}"), gateways * 3))


def test_of_triggers_at_once_exactly_one_starts_a_run(gateways: list[str], airflow: SlowAirflow) -> None:
    answers = all_at_once(gateways, "/admin/ingestion")
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409, 409]
    assert len(airflow.runs["ingestion"]) == 1
    assert {answer.json()["detail"] for answer in answers if answer.status_code == 409} == {
        "ingestion is already running: manual__0"
    }
    assert 202 in {answer.status_code for answer in all_at_once(gateways, "/admin/monitoring")}


def test_one_key_at_once_is_one_run_for_all_who_sent_it(gateways: list[str], airflow: SlowAirflow) -> None:
    answers = all_at_once(gateways, "/admin/training", **{"Idempotency-Key": "monday-morning"})
    assert [answer.status_code for answer in answers] == [202] * 6
    assert {answer.json()["run_id"] for answer in answers} == {airflow.runs["training"][0]["dag_run_id"]}
    assert len(airflow.runs["training"]) == 1
