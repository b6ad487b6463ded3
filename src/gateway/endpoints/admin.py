"""What admins run and read: pipelines, what came in, models, the audit trail."""

import asyncio
from datetime import date
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from gateway.airflow import Dag, Run, RunWithTasks
from gateway.mlflow import ModelVersion
from gateway.services import CurrentAdmin, Services, Wired
from gateway.users import User
from meteo import web
from meteo.contract import (
    Body,
    DataQuality,
    IngestionBody,
    IngestionRequest,
    QuarantinedBody,
    QuarantineState,
    TrainingRequest,
)
from meteo.errors import MeteoError
from meteo.station import station

router = APIRouter(prefix="/admin", tags=["admin"])

Limit = Annotated[int, Query(ge=1, le=200)]
RunId = Annotated[str, Path(max_length=250)]


class Started(BaseModel):
    dag: str
    run_id: str


@router.post("/ingestion", status_code=202, openapi_extra=web.documented_body(IngestionRequest))
async def start_ingestion(request: Request, admin: CurrentAdmin, wired: Wired) -> Started:
    """Read observations from a source into the store."""
    body = await web.json_body(request, IngestionRequest)
    for name in body.stations or ():
        station(name)
    return await _start(request, "ingestion", body, admin, wired)


@router.post("/training", status_code=202, openapi_extra=web.documented_body(TrainingRequest))
async def start_training(request: Request, admin: CurrentAdmin, wired: Wired) -> Started:
    """Preprocess, fit, judge, promote if no worse, and have the champion served."""
    return await _start(request, "training", await web.json_body(request, TrainingRequest), admin, wired)


@router.post("/monitoring", status_code=202)
async def start_monitoring(request: Request, admin: CurrentAdmin, wired: Wired) -> Started:
    """Join predictions with what fell and score them."""
    return await _start(request, "monitoring", Body(), admin, wired)


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
    dag: Dag, run_id: RunId, task: str, _: CurrentAdmin, wired: Wired,
    try_number: Annotated[int | None, Query(alias="try", ge=1, le=100)] = None,
) -> str:  # fmt: skip
    """The log of a task's latest (or another) try."""
    return await wired.airflow.log(dag, run_id, task, try_number)


@router.get("/ingestions", response_model=list[IngestionBody])
async def ingestions(request: Request, admin: CurrentAdmin, wired: Wired, limit: Limit = 50) -> Response:
    """What each ingestion brought: rows new, changed, unchanged, quarantined."""
    return await wired.model_api.ask(request, admin, "GET", "ingestions", params={"limit": limit})


@router.get("/ingestions/{run_id}/quarantine", response_model=list[QuarantinedBody])
async def quarantine_of(run_id: int, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """The rows that one ingestion refused, and why."""
    return await wired.model_api.ask(request, admin, "GET", "ingestions", str(run_id), "quarantine")


@router.get("/quarantine", response_model=list[QuarantinedBody])
async def quarantine(
    request: Request, admin: CurrentAdmin, wired: Wired, state: QuarantineState | None = None, limit: Limit = 50
) -> Response:
    """Refused rows, newest first."""
    params = {"limit": limit} | ({"state": state} if state else {})
    return await wired.model_api.ask(request, admin, "GET", "quarantine", params=params)


@router.post("/quarantine/{row_id}/{decision}", response_model=QuarantinedBody)
async def decide(
    row_id: int, decision: Literal["release", "discard"], request: Request, admin: CurrentAdmin, wired: Wired
) -> Response:
    """Store a refused row without the fields at fault, or decide that it is worth nothing."""
    answer = await wired.model_api.ask(request, admin, "POST", "quarantine", str(row_id), decision)
    outcome = "success" if answer.status_code == 200 else HTTPStatus(answer.status_code).phrase
    await asyncio.to_thread(
        wired.audit.write, request, admin.username, f"{decision} quarantined row", outcome, row=row_id
    )
    return answer


@router.get("/data-quality", response_model=list[DataQuality])
async def data_quality(
    request: Request, admin: CurrentAdmin, wired: Wired, start: date | None = None, end: date | None = None
) -> Response:
    """Per station and field of the stored days: missing, flagged, newest day."""
    params = {name: day.isoformat() for name, day in (("start", start), ("end", end)) if day is not None}
    return await wired.model_api.ask(request, admin, "GET", "data-quality", params=params)


@router.get("/models")
async def models(_: CurrentAdmin, wired: Wired) -> list[ModelVersion]:
    """Published versions, newest first."""
    return await wired.mlflow.versions()


@router.get("/audit")
def audit(_: CurrentAdmin, wired: Wired, limit: Limit = 100) -> list[dict[str, Any]]:
    """Who did what, newest first."""
    return [dict(row) for row in wired.audit.latest(limit)]


async def _start(request: Request, dag: Dag, body: Body, admin: User, wired: Services) -> Started:
    conf = body.model_dump(mode="json", exclude_none=True)
    note = f"asked by {admin.username}, request {web.request_id(request)}"
    outcome = "success"
    try:
        return Started(dag=dag, run_id=await wired.airflow.trigger(dag, conf, note))
    except MeteoError as error:
        outcome = error.title
        raise
    finally:
        await asyncio.to_thread(wired.audit.write, request, admin.username, f"start {dag}", outcome, conf=conf)
