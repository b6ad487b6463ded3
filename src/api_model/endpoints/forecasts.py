"""Forecasts for one station, for many rows and for all stations, and what became of them."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response, StreamingResponse

from api_model.codecs.csv import CSV
from api_model.dependencies import CurrentAdmin, CurrentCaller, Limit, Wired, caller, services
from api_model.history import live_quality, past_predictions
from meteo.forecasts.live_quality import By
from meteo.http.date_range import Days
from meteo.http.problems import problem_response
from meteo.http.requests import BATCH_ROWS, JSON, read_body, read_json, request_id
from meteo.http.routing import DirectRoute, Route
from meteo.schemas.base import Day
from meteo.schemas.forecasts import Forecast, PastPrediction, PredictRequest
from meteo.schemas.models import LiveQuality

router, direct = APIRouter(route_class=Route), APIRouter(route_class=DirectRoute)


@direct.post("/predict", response_model=None)
async def predict(request: Request) -> Response:
    current = await caller(request)
    asked = await read_json(request, PredictRequest)
    answer = await services(request).micro_batcher.predict(asked, request_id(request), current.subject)
    return Response(answer.model_dump_json(exclude_unset=True), media_type=JSON)


@router.post("/predict/batch", response_model=None)
async def predict_batch(
    request: Request, current: CurrentCaller, wired: Wired, rows_left: Annotated[int | None, Header(ge=0)] = None
) -> Response:
    body = await read_body(request, JSON, CSV)
    given = await wired.batches.read(body, request.headers.get("content-type", ""))
    counted = {BATCH_ROWS: str(given.count)}
    if rows_left is not None and given.count > rows_left:
        refusal = problem_response(request, 429, f"{given.count:,} rows are more than the {rows_left:,} that are left")
        refusal.headers.update(counted)
        return refusal
    scoring = wired.batches.begin(request_id(request))
    writer = given.writer(request.headers.get("accept", ""))
    return StreamingResponse(
        wired.batches.answers(given, scoring, writer, current.subject),
        headers=counted,
        media_type=writer.media_type,
    )


@router.get("/forecast")
def forecast(_: CurrentCaller, wired: Wired, date: Annotated[Day | None, Query()] = None) -> Forecast:
    return wired.serving.predictor.forecast(date)


@router.get("/predictions")
def predictions(
    current: CurrentCaller, wired: Wired, days: Days, station: str | None = None, limit: Limit = 100
) -> list[PastPrediction]:
    subject = None if current.role == "admin" else current.subject
    return past_predictions(wired.log.engine, wired.store, subject, station, (days.start, days.end), limit)


@router.get("/quality")
def served_quality(_: CurrentAdmin, wired: Wired, days: Days, by: By = "version") -> list[LiveQuality]:
    period = days.start, days.end
    return live_quality(wired.log.engine, wired.store, wired.climates, period, wired.minimum_outcomes, by)
