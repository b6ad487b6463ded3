"""Stations, observations, predictions: what users come for. The model API answers; the gateway only lets through."""

from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import Response

from gateway.services import CurrentUser, Wired
from meteo import web
from meteo.contract import BatchError, DayBody, Forecast, Prediction, PredictRequest, StationBody
from meteo.station import station as known_station

router = APIRouter(tags=["weather"])
BATCH_SECONDS = 120.0


@router.get("/stations", response_model=list[StationBody])
async def stations(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """All stations, with the day of their newest observation."""
    return await wired.model_api.ask(request, user, "GET", "stations")


@router.get("/stations/{station}/observations", response_model=list[DayBody])
async def observations(
    request: Request, station: str, user: CurrentUser, wired: Wired, start: date | None = None, end: date | None = None
) -> Response:
    """Stored observations, oldest first; without a range the newest 14 days."""
    params = {name: day.isoformat() for name, day in (("start", start), ("end", end)) if day is not None}
    name = known_station(station).name
    return await wired.model_api.ask(request, user, "GET", "stations", name, "observations", params=params)


@router.post("/predict", response_model=Prediction, openapi_extra=web.documented_body(PredictRequest))
async def predict(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """The chance of more than 1.0 mm of rain from 9am of `date` to 9am of the next day, on the station's clock."""
    return await wired.model_api.ask(request, user, "POST", "predict", content=await request.body())


@router.post("/predict/batch", response_model=list[Prediction | BatchError])
async def predict_batch(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """One answer a row, in order, of a JSON list or a CSV (station, date, fields; answered as CSV where Accept asks for
    it); a bad row is answered with its errors, the others are unharmed."""
    content = await request.body()
    return await wired.model_api.ask(
        request, user, "POST", "predict", "batch", content=content, passed=("content-type", "accept"),
        deadline=BATCH_SECONDS,
    )


@router.get("/forecast", response_model=Forecast)
async def forecast(request: Request, user: CurrentUser, wired: Wired, date: date | None = None) -> Response:
    """Every station's chance of rain from its stored row of `date`, by default the newest day."""
    params = {} if date is None else {"date": date.isoformat()}
    return await wired.model_api.ask(request, user, "GET", "forecast", params=params)


@router.get("/model")
async def model(request: Request, user: CurrentUser, wired: Wired) -> Response:
    """The served model's card."""
    return await wired.model_api.ask(request, user, "GET", "model")
