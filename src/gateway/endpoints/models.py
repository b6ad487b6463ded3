"""Published models: cards, promotion, rollback."""

import json
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from gateway.dependencies import CurrentAdmin, Services, Wired
from gateway.users import User
from meteo.http.openapi import documented_body
from meteo.http.requests import read_json
from meteo.http.routing import Route
from meteo.schemas.models import Champion, ModelCard, ModelVersion, Promotion

router = APIRouter(route_class=Route, prefix="/admin", tags=["admin"])
PROMOTION_SECONDS = 90.0
"""A version may have to be downloaded and tried first."""
Version = Annotated[int, Path(ge=1, le=999_999_999)]


@router.get("/models", response_model=list[ModelVersion])
async def models(request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Published versions, newest first."""
    return await wired.model_api.ask(request, admin, list[ModelVersion], "GET", "models")


@router.get("/models/{version:int}")
async def model_card(version: Version, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """The card of one version."""
    return await wired.model_api.ask(
        request, admin, ModelCard, "GET", "models", str(version), deadline=PROMOTION_SECONDS
    )


@router.post("/models/{version:int}/promote", response_model=Champion, openapi_extra=documented_body(Promotion))
async def promote(version: Version, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Try the version, make it the champion and serve it; 409 when the champion is not the `expected` one any more or
    another promotion goes on, 503 when the version cannot serve."""
    asked = await read_json(request, Promotion)
    content = asked.model_dump_json().encode()
    return await _moved(
        request,
        admin,
        wired,
        "promote model",
        (str(version), "promote"),
        content,
        version=str(version),
        reason=asked.reason,
    )


@router.post("/models/rollback", response_model=Champion)
async def rollback(request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Serve the previous champion again."""
    return await _moved(request, admin, wired, "roll back model", ("rollback",), b"{}")


async def _moved(
    request: Request, admin: User, wired: Services, action: str, path: tuple[str, ...], content: bytes, **detail: str
) -> Response:
    """Move the champion; the audit tells who, why, from which version to which, or why not."""
    async with wired.audit.recording(request, admin.username, action, **detail) as event:
        answer = await wired.model_api.ask(
            request, admin, Champion, "POST", "models", *path, content=content, deadline=PROMOTION_SECONDS
        )
        event.answered(answer)
        if answer.status_code == 200:
            after = json.loads(bytes(answer.body))
            event.detail |= {"before": after["previous"], "after": after["version"]}
    return answer
