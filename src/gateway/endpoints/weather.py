"""Stations, observations, predictions: what users come for. The model API answers; the gateway only lets through."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gateway.services import CurrentUser, PredictingUser, Wired, predicting_user, services
from meteo import web
from meteo.contract import (
    BatchError,
    Day,
    DayBody,
    Forecast,
    PastPrediction,
    Prediction,
    PredictRequest,
    StationBody,
)
from meteo.station import station as known_station

router = APIRouter(tags=["weather"])
BATCH_SECONDS = 120.0
BATCH_KINDS = (web.JSON, "text/csv", "application/vnd.apache.arrow.stream")


def _batch_body() -> dict[str, Any]:
    row = web.documented_body(PredictRequest)["requestBody"]["content"][web.JSON]["schema"]
    table = {"schema": {"type": "string"}, "example": "station,date,humidity_3pm\nSydney,2017-06-20,71\n"}
    rows = {"type": "array", "minItems": 1, "maxItems": 100_000, "description": "Each row is answered by itself",
            "items": {"examples": row.pop("examples"), "anyOf": [row, {}]}}  # fmt: skip
    listed = {"schema": rows}
    arrow = {"schema": {"type": "string", "format": "binary"}}
    contents = dict(zip(BATCH_KINDS, (listed, table, arrow), strict=True))
    return {"requestBody": {"required": True, "content": contents}}


@router.get("/stations", response_model=list[StationBody])
async def stations(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """All stations, with the day of their newest observation."""
    return await wired.model_api.ask(request, user, "GET", "stations")


@router.get("/stations/{station}/observations", response_model=list[DayBody])
async def observations(
    request: Request, station: str, user: CurrentUser, wired: Wired, start: Day | None = None, end: Day | None = None
) -> Response:
    """Stored observations, oldest first; without a range the newest 14 days."""
    params = {name: day.isoformat() for name, day in (("start", start), ("end", end)) if day is not None}
    name = known_station(station).name
    return await wired.model_api.ask(request, user, "GET", "stations", name, "observations", params=params)


@router.post("/predict", response_model=Prediction, openapi_extra=web.documented_body(PredictRequest))
async def predict(request: Request, user: PredictingUser, wired: Wired) -> Response:
    """The chance of more than 1.0 mm of rain from 9am of `date` to 9am of the next day, on the station's clock."""
    answer = await wired.model_api.ask(request, user, "POST", "predict", content=await web.body(request, web.JSON))
    return _with_rate(request, answer)


async def predict_at_once(request: Request) -> Response:
    """The same, for a route that goes round the framework: most requests are of this kind."""
    return await predict(request, await predicting_user(request), services(request))


@router.post(
    "/predict/batch",
    response_model=list[Prediction | BatchError],
    responses={200: {"content": {kind: {"schema": {"type": "string"}} for kind in BATCH_KINDS[1:]}}},
    openapi_extra=_batch_body(),
)
async def predict_batch(request: Request, user: PredictingUser, wired: Wired) -> Response:
    """One answer a row, in order, of a JSON list or a CSV (station, date, fields; answered as CSV where Accept asks for
    it); a bad row is answered with its errors, the others are unharmed."""
    content = await web.body(request, *BATCH_KINDS)
    answer = wired.model_api.through(
        request, user, "POST", "predict", "batch", content=content, passed=("content-type", "accept"),
        deadline=BATCH_SECONDS,
    )  # fmt: skip
    return _with_rate(request, answer)


@router.get("/forecast", response_model=Forecast)
async def forecast(request: Request, user: CurrentUser, wired: Wired, date: Day | None = None) -> Response:
    """Every station's chance of rain from its stored row of `date`, by default the newest day."""
    params = {} if date is None else {"date": date.isoformat()}
    return await wired.model_api.ask(request, user, "GET", "forecast", params=params)


@router.get("/predictions", response_model=list[PastPrediction])
async def predictions(
    request: Request, user: CurrentUser, wired: Wired, station: str | None = None, start: Day | None = None,
    end: Day | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:  # fmt: skip
    """One's own predictions, newest first, and what then fell; an admin sees everybody's."""
    params: dict[str, str | int] = {"limit": limit} | ({"station": known_station(station).name} if station else {})
    params |= {name: day.isoformat() for name, day in (("start", start), ("end", end)) if day is not None}
    return await wired.model_api.ask(request, user, "GET", "predictions", params=params)


@router.get("/model")
async def model(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """The served model's card."""
    return await wired.model_api.ask(request, user, "GET", "model")


def _with_rate(request: Request, answer: Response) -> Response:
    answer.headers.update(request.state.rate)
    return answer
