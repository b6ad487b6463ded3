"""What came in: files handed in, ingestions, refused rows; how good the data and the forecasts are."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.dependencies import CurrentAdmin, Wired
from gateway.endpoints.pipelines import Limit
from meteo.http.date_range import Days
from meteo.http.requests import read_body
from meteo.http.routing import Route
from meteo.schemas.base import FileName, RowId
from meteo.schemas.data_contract import DataContract, contract
from meteo.schemas.ingestions import IngestionBody, QuarantinedBody, QuarantineState, UploadBody
from meteo.schemas.models import LiveQuality
from meteo.schemas.observations import DataQuality

router = APIRouter(route_class=Route, prefix="/admin", tags=["admin"])

SURVEY_SECONDS = 30.0
"""For what looks through all that is stored."""

CSV = "text/csv"
_CSV_FILE = {"requestBody": {"required": True, "content": {CSV: {"schema": {}}}}}


@router.post("/uploads", status_code=201, response_model=UploadBody, openapi_extra=_CSV_FILE)
async def upload(name: FileName, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Hand in one of BOM's month files; the next ingestion of source `upload` reads it."""
    content = await read_body(request, CSV)
    async with wired.audit.recording(request, admin.username, "hand in file", name=name) as event:
        answer = await wired.model_api.ask(
            request, admin, UploadBody, "POST", "uploads", params={"name": name}, content=content, kind=CSV
        )
        event.answered(answer)
    return answer


@router.get("/uploads", response_model=list[UploadBody])
async def uploads(request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """The files that wait to be read."""
    return await wired.model_api.ask(request, admin, list[UploadBody], "GET", "uploads")


@router.get("/data-contract")
def data_contract(_: CurrentAdmin) -> DataContract:
    """What a file of observations must hold: fields, units and limits, what is refused and what is flagged."""
    return contract()


@router.get("/ingestions", response_model=list[IngestionBody])
async def ingestions(request: Request, admin: CurrentAdmin, wired: Wired, limit: Limit = 50) -> Response:
    """What each ingestion brought: rows new, changed, unchanged, quarantined."""
    return await wired.model_api.ask(request, admin, list[IngestionBody], "GET", "ingestions", params={"limit": limit})


@router.get("/ingestions/{run_id}/quarantine", response_model=list[QuarantinedBody])
async def quarantine_of(run_id: RowId, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """The rows that one ingestion refused, and why."""
    return await wired.model_api.ask(
        request, admin, list[QuarantinedBody], "GET", "ingestions", str(run_id), "quarantine"
    )


@router.get("/quarantine", response_model=list[QuarantinedBody])
async def quarantine(
    request: Request, admin: CurrentAdmin, wired: Wired, state: QuarantineState | None = None, limit: Limit = 50
) -> Response:
    """Refused rows, newest first."""
    params = {"limit": limit} | ({"state": state} if state else {})
    return await wired.model_api.ask(request, admin, list[QuarantinedBody], "GET", "quarantine", params=params)


@router.post("/quarantine/{row_id}/{decision}", response_model=QuarantinedBody)
async def decide(
    row_id: RowId, decision: Literal["release", "discard"], request: Request, admin: CurrentAdmin, wired: Wired
) -> Response:
    """Store a refused row without the fields at fault, or decide that it is worth nothing."""
    async with wired.audit.recording(request, admin.username, f"{decision} quarantined row", row=row_id) as event:
        answer = await wired.model_api.ask(request, admin, QuarantinedBody, "POST", "quarantine", str(row_id), decision)
        event.answered(answer)
    return answer


@router.get("/data-quality", response_model=list[DataQuality])
async def data_quality(request: Request, admin: CurrentAdmin, wired: Wired, days: Days) -> Response:
    """Per station and field of the stored days: missing, flagged, newest day."""
    return await wired.model_api.ask(
        request, admin, list[DataQuality], "GET", "data-quality", params=days.params, deadline=SURVEY_SECONDS
    )


@router.get("/quality", response_model=list[LiveQuality])
async def quality(
    request: Request, admin: CurrentAdmin, wired: Wired, days: Days, by: Literal["version", "station"] = "version"
) -> Response:
    """How each version's served forecasts did, once it is known what fell: Brier score with its interval and skill,
    AUC, reliability; at all stations or each. By default of the last 90 days. Hindsight is left out."""
    params = {**days.params, "by": by}
    return await wired.model_api.ask(
        request, admin, list[LiveQuality], "GET", "quality", params=params, deadline=SURVEY_SECONDS
    )
