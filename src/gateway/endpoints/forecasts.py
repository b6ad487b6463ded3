"""Stations, observations, predictions: what users come for. The model API answers; the gateway only lets through."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gateway.dependencies import SECURED, CurrentCaller, CurrentUser, PredictingUser, Wired, predicting_user, services
from meteo.errors import TooManyRequests, UpstreamFailed
from meteo.http.date_range import Days
from meteo.http.openapi import documented_body
from meteo.http.requests import BATCH_ROWS, JSON, ROWS_LEFT, read_body
from meteo.http.routing import DirectRoute, Route
from meteo.schemas.base import Day
from meteo.schemas.forecasts import BatchError, Forecast, PastPrediction, Prediction, PredictRequest
from meteo.schemas.models import ModelCard
from meteo.schemas.observations import DayBody, StationBody
from meteo.station import station as known_station

router = APIRouter(route_class=Route, tags=["weather"])
direct = APIRouter(route_class=DirectRoute, tags=["weather"])
BATCH_SECONDS = 120.0
CSV = "text/csv"


def _batch_body() -> dict[str, Any]:
    row = documented_body(PredictRequest)["requestBody"]["content"][JSON]["schema"]
    table = {"schema": {"type": "string"}, "example": "station,date,humidity_3pm\nSydney,2017-06-20,71\n"}
    rows = {
        "type": "array",
        "minItems": 1,
        "maxItems": 100_000,
        "description": "Each row is answered by itself",
        "items": {"examples": row.pop("examples"), "anyOf": [row, {}]},
    }
    return {"requestBody": {"required": True, "content": {JSON: {"schema": rows}, CSV: table}}}


@router.get("/stations", response_model=list[StationBody])
async def stations(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """All stations, with the day of their newest observation."""
    return await wired.model_api.ask(request, user, list[StationBody], "GET", "stations")


@router.get("/stations/{station}/observations", response_model=list[DayBody])
async def observations(request: Request, station: str, user: CurrentUser, wired: Wired, days: Days) -> Response:
    """Stored observations, oldest first; without a range the newest 14 days."""
    name = known_station(station).name
    return await wired.model_api.ask(
        request, user, list[DayBody], "GET", "stations", name, "observations", params=days.params
    )


@direct.post("/predict", response_model=Prediction, openapi_extra=documented_body(PredictRequest) | SECURED)
async def predict(request: Request) -> Response:
    """The chance of more than 1.0 mm of rain from 9am of `date` to 9am of the next day, on the station's clock."""
    user = await predicting_user(request)
    content = await read_body(request, JSON)
    answer = await services(request).model_api.ask(request, user, Prediction, "POST", "predict", content=content)
    answer.headers.update(request.state.rate)
    return answer


@router.post(
    "/predict/batch",
    response_model=list[Prediction | BatchError],
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}},
    openapi_extra=_batch_body(),
)
async def predict_batch(request: Request, user: PredictingUser, current: CurrentCaller, wired: Wired) -> Response:
    """One answer a row, in order, of a JSON list or a CSV (station, date, fields; answered as CSV where Accept asks for
    it); a bad row is answered with its errors, the others are unharmed. It counts as one request, and by its rows."""

    program = current.session is None

    async def charge(status: int, answered: Mapping[str, str]) -> dict[str, str]:
        counted = answered.get(BATCH_ROWS, "0")
        if not re.fullmatch("[0-9]{1,9}", counted):
            raise UpstreamFailed(f"the model API counted {counted[:64]!a} rows")
        rows = int(counted)
        if status == TooManyRequests.status:
            await wired.limiter.refuse_rows(user, program, rows)
        return await wired.limiter.rows(user, program, rows) if rows else request.state.rate

    content = await read_body(request, JSON, CSV)
    told = {name: request.headers[name] for name in ("content-type", "accept") if name in request.headers}
    told[ROWS_LEFT] = str(await wired.limiter.rows_left(user, program))
    return wired.model_api.stream(
        request, user, "POST", "predict", "batch", content=content, headers=told, deadline=BATCH_SECONDS, charge=charge
    )


@router.get("/forecast", response_model=Forecast)
async def forecast(request: Request, user: CurrentUser, wired: Wired, date: Day | None = None) -> Response:
    """Every station's chance of rain from its stored row of `date`, by default the newest day."""
    params = {} if date is None else {"date": date.isoformat()}
    return await wired.model_api.ask(request, user, Forecast, "GET", "forecast", params=params)


@router.get("/predictions", response_model=list[PastPrediction])
async def predictions(
    request: Request,
    user: CurrentUser,
    wired: Wired,
    days: Days,
    station: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """One's own predictions, newest first, and what then fell; an admin sees everybody's."""
    params: dict[str, str | int] = {"limit": limit} | ({"station": known_station(station).name} if station else {})
    params |= days.params
    return await wired.model_api.ask(request, user, list[PastPrediction], "GET", "predictions", params=params)


@router.get("/model")
async def model(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """The served model's card."""
    return await wired.model_api.ask(request, user, ModelCard, "GET", "model")
