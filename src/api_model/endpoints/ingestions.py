"""Files that were handed in, what ingestions brought, and the rows that were refusal."""

import asyncio

from fastapi import APIRouter, Request
from sqlalchemy import RowMapping

from api_model.codecs.csv import CSV
from api_model.dependencies import CurrentAdmin, Limit, Wired
from meteo.http.requests import read_body
from meteo.http.routing import Route
from meteo.schemas.base import FileName, RowId
from meteo.schemas.ingestions import IngestionBody, QuarantinedBody, QuarantineState, UploadBody

router = APIRouter(route_class=Route)


@router.post("/uploads", status_code=201)
async def upload(name: FileName, request: Request, admin: CurrentAdmin, wired: Wired) -> UploadBody:
    content = await read_body(request, CSV)
    kept = await asyncio.to_thread(wired.store.uploads.put, name, content, admin.subject)
    return UploadBody(id=kept.id, name=kept.name)


@router.get("/uploads")
def waiting_uploads(_: CurrentAdmin, wired: Wired) -> list[UploadBody]:
    return [UploadBody(id=each.id, name=each.name) for each in wired.store.uploads.waiting()]


@router.get("/ingestions")
def ingestions(_: CurrentAdmin, wired: Wired, limit: Limit = 50) -> list[IngestionBody]:
    return [IngestionBody(**row) for row in wired.store.ingestions.latest(limit)]


@router.get("/ingestions/{run_id}/quarantine")
def quarantine_of(run_id: RowId, _: CurrentAdmin, wired: Wired) -> list[QuarantinedBody]:
    wired.store.ingestions.require(run_id)
    return [_body(row) for row in wired.store.quarantine.of_run(run_id)]


@router.get("/quarantine")
def quarantine(
    _: CurrentAdmin, wired: Wired, state: QuarantineState | None = None, limit: Limit = 50
) -> list[QuarantinedBody]:
    return [_body(row) for row in wired.store.quarantine.rows(state, limit)]


@router.post("/quarantine/{row_id}/release")
def release(row_id: RowId, admin: CurrentAdmin, wired: Wired) -> QuarantinedBody:
    return _body(wired.store.quarantine.release(row_id, admin.subject))


@router.post("/quarantine/{row_id}/discard")
def discard(row_id: RowId, admin: CurrentAdmin, wired: Wired) -> QuarantinedBody:
    return _body(wired.store.quarantine.discard(row_id, admin.subject))


def _body(row: RowMapping) -> QuarantinedBody:
    return QuarantinedBody(**{name: row[name] for name in QuarantinedBody.model_fields})
