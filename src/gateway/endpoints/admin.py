"""What admins run and read: pipelines, what came in, models, the audit trail."""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from gateway.airflow import Dag, Run, RunWithTasks
from gateway.services import CurrentAdmin, Services, Wired
from gateway.users import User
from meteo import web
from meteo.contract import (
    Body,
    Champion,
    DataQuality,
    Day,
    FileName,
    IngestionBody,
    IngestionRequest,
    LiveQuality,
    ModelVersion,
    Promotion,
    QuarantinedBody,
    QuarantineState,
    RowId,
    TrainingRequest,
    UploadBody,
)
from meteo.errors import InvalidInput, MeteoError
from meteo.station import station

router = APIRouter(prefix="/admin", tags=["admin"])

Limit = Annotated[int, Query(ge=1, le=200)]
_KEY = re.compile(r"[A-Za-z0-9._-]{8,64}")
PROMOTION_SECONDS = 90.0
"""A version may have to be downloaded and tried first."""

CSV = "text/csv"
_CSV_FILE = {"requestBody": {"required": True, "content": {CSV: {"schema": {}}}}}
Version = Annotated[int, Path(ge=1, le=999_999_999)]
RunId = Annotated[str, Path(max_length=250)]
TaskId = Annotated[str, Path(max_length=250)]


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
    dag: Dag, run_id: RunId, task: TaskId, _: CurrentAdmin, wired: Wired,
    try_number: Annotated[int | None, Query(alias="try", ge=1, le=100)] = None,
) -> str:  # fmt: skip
    """The log of a task's latest (or another) try."""
    return await wired.airflow.log(dag, run_id, task, try_number)


@router.post("/runs/{dag}/{run_id}/cancel", status_code=204)
async def cancel_run(dag: Dag, run_id: RunId, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """End a run that is queued or running, with the processes of its tasks; 409 when it has ended already."""
    await _steered(request, admin, wired, f"cancel {dag}", wired.airflow.cancel(dag, run_id), run_id=run_id)
    return Response(status_code=204)


@router.post("/runs/{dag}/{run_id}/tasks/{task}/retry", status_code=204)
async def retry_task(
    dag: Dag, run_id: RunId, task: TaskId, request: Request, admin: CurrentAdmin, wired: Wired
) -> Response:
    """Run a failed task again, and those after it; 409 when it has not failed."""
    work = wired.airflow.retry(dag, run_id, task)
    await _steered(request, admin, wired, f"retry {dag}", work, run_id=run_id, task=task)
    return Response(status_code=204)


@router.post("/uploads", status_code=201, response_model=UploadBody, openapi_extra=_CSV_FILE)
async def upload(name: FileName, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Hand in one of BOM's month files; the next ingestion of source `upload` reads it."""
    outcome, content = "failure", await web.body(request, CSV)
    try:
        answer = await wired.model_api.ask(
            request, admin, "POST", "uploads", params={"name": name}, content=content, kind=CSV
        )
        outcome = _outcome(answer)
    finally:
        await asyncio.to_thread(wired.audit.write, request, admin.username, "hand in file", outcome, name=name)
    return answer


@router.get("/uploads", response_model=list[UploadBody])
async def uploads(request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """The files that wait to be read."""
    return await wired.model_api.ask(request, admin, "GET", "uploads")


@router.get("/ingestions", response_model=list[IngestionBody])
async def ingestions(request: Request, admin: CurrentAdmin, wired: Wired, limit: Limit = 50) -> Response:
    """What each ingestion brought: rows new, changed, unchanged, quarantined."""
    return await wired.model_api.ask(request, admin, "GET", "ingestions", params={"limit": limit})


@router.get("/ingestions/{run_id}/quarantine", response_model=list[QuarantinedBody])
async def quarantine_of(run_id: RowId, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
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
    row_id: RowId, decision: Literal["release", "discard"], request: Request, admin: CurrentAdmin, wired: Wired
) -> Response:
    """Store a refused row without the fields at fault, or decide that it is worth nothing."""
    answer = await wired.model_api.ask(request, admin, "POST", "quarantine", str(row_id), decision)
    await asyncio.to_thread(
        wired.audit.write, request, admin.username, f"{decision} quarantined row", _outcome(answer), row=row_id
    )
    return answer


@router.get("/data-quality", response_model=list[DataQuality])
async def data_quality(
    request: Request, admin: CurrentAdmin, wired: Wired, start: Day | None = None, end: Day | None = None
) -> Response:
    """Per station and field of the stored days: missing, flagged, newest day."""
    params = {name: day.isoformat() for name, day in (("start", start), ("end", end)) if day is not None}
    return await wired.model_api.ask(request, admin, "GET", "data-quality", params=params)


@router.get("/quality", response_model=list[LiveQuality])
async def quality(
    request: Request, admin: CurrentAdmin, wired: Wired, start: Day | None = None, end: Day | None = None,
    by: Literal["version", "station"] = "version",
) -> Response:  # fmt: skip
    """How each version's served forecasts did, once it is known what fell: Brier score with its interval and skill,
    AUC, reliability; at all stations or each. By default of the last 90 days. Hindsight is left out."""
    days = {name: day.isoformat() for name, day in (("start", start), ("end", end)) if day is not None}
    return await wired.model_api.ask(request, admin, "GET", "quality", params={**days, "by": by})


@router.get("/models", response_model=list[ModelVersion])
async def models(request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Published versions, newest first."""
    return await wired.model_api.ask(request, admin, "GET", "models")


@router.get("/models/{version:int}")
async def model_card(version: Version, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """The card of one version."""
    return await wired.model_api.ask(request, admin, "GET", "models", str(version), deadline=PROMOTION_SECONDS)


@router.post("/models/{version:int}/promote", response_model=Champion, openapi_extra=web.documented_body(Promotion))
async def promote(version: Version, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Try the version, make it the champion and serve it; 409 when the champion is not the `expected` one any more or
    another promotion goes on, 503 when the version cannot serve."""
    asked = await web.json_body(request, Promotion)
    content = asked.model_dump_json().encode()
    return await _moved(request, admin, wired, "promote model", (str(version), "promote"), content,
                        version=str(version), reason=asked.reason)  # fmt: skip


@router.post("/models/rollback", response_model=Champion)
async def rollback(request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Serve the previous champion again."""
    return await _moved(request, admin, wired, "roll back model", ("rollback",), b"{}")


def _outcome(answer: Response) -> str:
    return "success" if answer.status_code < 300 else f"answered {answer.status_code}"


async def _moved(
    request: Request, admin: User, wired: Services, action: str, path: tuple[str, ...], content: bytes, **detail: str
) -> Response:
    """Move the champion; the audit tells who, why, from which version to which, or why not."""
    outcome = "failure"
    after: dict[str, str | None] = {}
    try:
        answer = await wired.model_api.ask(
            request, admin, "POST", "models", *path, content=content, deadline=PROMOTION_SECONDS
        )
        outcome = _outcome(answer)
        after = json.loads(bytes(answer.body)) if answer.status_code == 200 else {}
    finally:
        moved = {"before": after.get("previous"), "after": after.get("version")} if after else {}
        await asyncio.to_thread(wired.audit.write, request, admin.username, action, outcome, **detail, **moved)
    return answer


def _run_id(request: Request, dag: str, admin: User) -> str | None:
    """The run that an Idempotency-Key stands for: one person's key for one pipeline; None where none is sent."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        message = "8 to 64 letters, digits, dots, dashes or underscores are needed"
        raise InvalidInput(f"Idempotency-Key: {message}", [("Idempotency-Key", message)])
    return "asked__" + hashlib.sha256(f"{admin.username}\n{dag}\n{key}".encode()).hexdigest()[:32]


async def _steered(
    request: Request, admin: User, wired: Services, action: str, work: Awaitable[None], **detail: str
) -> None:
    """Do something to a run; both outcomes are in the audit."""
    outcome = "success"
    try:
        await work
    except MeteoError as error:
        outcome = error.title
        raise
    finally:
        await asyncio.to_thread(wired.audit.write, request, admin.username, action, outcome, **detail)


async def _start(request: Request, dag: Dag, body: Body, admin: User, wired: Services) -> Started:
    conf = body.model_dump(mode="json", exclude_none=True)
    note = f"asked by {admin.username}, request {web.request_id(request)}"
    outcome = "success"
    try:
        return Started(dag=dag, run_id=await wired.airflow.trigger(dag, conf, note, _run_id(request, dag, admin)))
    except MeteoError as error:
        outcome = error.title
        raise
    finally:
        await asyncio.to_thread(wired.audit.write, request, admin.username, f"start {dag}", outcome, conf=conf)
