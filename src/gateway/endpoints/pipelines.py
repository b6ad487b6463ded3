"""Pipelines that admins start, watch, cancel and try again."""

import hashlib
import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from gateway.airflow import Dag
from gateway.airflow_answers import Run, RunWithTasks
from gateway.dependencies import CurrentAdmin, Services, Wired
from gateway.users import User
from meteo import training_parameters
from meteo.errors import InvalidInput
from meteo.http.openapi import documented_body
from meteo.http.requests import read_json, request_id
from meteo.http.routing import Route
from meteo.schemas.base import Body
from meteo.schemas.ingestions import IngestionRequest
from meteo.schemas.runs import MonitoringRequest, TrainingRequest
from meteo.station import station

router = APIRouter(route_class=Route, prefix="/admin", tags=["admin"])

Limit = Annotated[int, Query(ge=1, le=200)]
_KEY = re.compile(r"[A-Za-z0-9._-]{8,64}")
RunId = Annotated[str, Path(max_length=250)]
TaskId = Annotated[str, Path(max_length=250)]


class Started(BaseModel):
    dag: str
    run_id: str


@router.post("/ingestion", status_code=202, openapi_extra=documented_body(IngestionRequest))
async def start_ingestion(request: Request, admin: CurrentAdmin, wired: Wired) -> Started:
    """Read observations from a source into the store."""
    body = await read_json(request, IngestionRequest)
    for name in body.stations or ():
        station(name)
    return await _start(request, "ingestion", body, admin, wired)


@router.post("/training", status_code=202, openapi_extra=documented_body(TrainingRequest))
async def start_training(request: Request, admin: CurrentAdmin, wired: Wired) -> Started:
    """Preprocess, fit, judge, promote if no worse, and have the champion served."""
    body = await read_json(request, TrainingRequest)
    training_parameters.checked(body.model or wired.default_kind, body.params or {})
    return await _start(request, "training", body, admin, wired)


@router.post("/monitoring", status_code=202, openapi_extra=documented_body(MonitoringRequest))
async def start_monitoring(request: Request, admin: CurrentAdmin, wired: Wired) -> Started:
    """Join predictions with what fell and score them."""
    return await _start(request, "monitoring", await read_json(request, MonitoringRequest), admin, wired)


@router.get("/runs")
async def runs(_: CurrentAdmin, wired: Wired, dag: Dag, limit: Limit = 20) -> list[Run]:
    """Runs of a pipeline, newest first."""
    return await wired.airflow.runs(dag, limit)


@router.get("/runs/{dag}/{run_id}")
async def run(dag: Dag, run_id: RunId, _: CurrentAdmin, wired: Wired) -> RunWithTasks:
    """One run with its tasks."""
    return await wired.airflow.run(dag, run_id)


@router.get("/runs/{dag}/{run_id}/tasks/{task}/log", response_class=PlainTextResponse)
async def task_log(
    dag: Dag,
    run_id: RunId,
    task: TaskId,
    _: CurrentAdmin,
    wired: Wired,
    try_number: Annotated[int | None, Query(alias="try", ge=1, le=100)] = None,
) -> str:
    """The log of a task's latest (or another) try."""
    return await wired.airflow.log(dag, run_id, task, try_number)


@router.post("/runs/{dag}/{run_id}/cancel", status_code=204)
async def cancel_run(dag: Dag, run_id: RunId, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """End a run that is queued or running, with the processes of its tasks; 409 when it has ended already."""
    async with wired.audit.recording(request, admin.username, f"cancel {dag}", run_id=run_id):
        await wired.airflow.cancel(dag, run_id)
    return Response(status_code=204)


@router.post("/runs/{dag}/{run_id}/tasks/{task}/retry", status_code=204)
async def retry_task(
    dag: Dag, run_id: RunId, task: TaskId, request: Request, admin: CurrentAdmin, wired: Wired
) -> Response:
    """Run a failed task again, and those after it; 409 when it has not failed."""
    async with wired.audit.recording(request, admin.username, f"retry {dag}", run_id=run_id, task=task):
        await wired.airflow.retry(dag, run_id, task)
    return Response(status_code=204)


def _run_id(request: Request, dag: str, admin: User) -> str | None:
    """The run that an Idempotency-Key stands for: one person's key for one pipeline; None where none is sent."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        message = "8 to 64 letters, digits, dots, dashes or underscores are needed"
        raise InvalidInput(f"Idempotency-Key: {message}", [("Idempotency-Key", message)])
    return "asked__" + hashlib.sha256(f"{admin.username}\n{dag}\n{key}".encode()).hexdigest()[:32]


async def _start(request: Request, dag: Dag, body: Body, admin: User, wired: Services) -> Started:
    conf = body.model_dump(mode="json", exclude_none=True)
    note = f"asked by {admin.username}, request {request_id(request)}"
    async with wired.audit.recording(request, admin.username, f"start {dag}", conf=conf):
        return Started(dag=dag, run_id=await wired.airflow.trigger(dag, conf, note, _run_id(request, dag, admin)))
