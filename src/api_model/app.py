"""The model API: internal, for callers with a service token only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry
from sqlalchemy import RowMapping

from api_model.batch import csv_of, parsed, rows_of_csv, rows_of_json
from api_model.metrics import ModelMetrics
from api_model.predictor import Predictor
from meteo import web
from meteo.auth import Caller, ServiceTokens
from meteo.contract import (
    DataQuality,
    DayBody,
    FlagBody,
    Forecast,
    IngestionBody,
    Prediction,
    PredictRequest,
    QuarantinedBody,
    QuarantineState,
    StationBody,
)
from meteo.errors import MeteoError, NotAllowed, NotFound
from meteo.prediction_log import PredictionLog, Record
from meteo.station import station, stations
from meteo.store import ObservationStore

RECENT_DAYS = 14
Limit = Annotated[int, Query(ge=1, le=500)]


def create_app(
    predictor: Predictor,
    log: PredictionLog,
    store: ObservationStore,
    tokens: ServiceTokens,
    *,
    name: str,
    poll_seconds: float,
) -> FastAPI:
    registry = CollectorRegistry()
    metrics = ModelMetrics(registry)

    def reload() -> None:
        try:
            metrics.serving(name, predictor.reload())
        except MeteoError:
            metrics.reload_failed()
            raise

    async def follow_champion() -> None:
        while True:
            with suppress(MeteoError):  # said by the predictor, which serves on
                await asyncio.to_thread(reload)
            await asyncio.sleep(poll_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.start()
        store.create()
        following = asyncio.create_task(follow_champion())
        yield
        following.cancel()
        log.stop()

    app = FastAPI(title="Rain tomorrow: model API", lifespan=lifespan, docs_url=None, redoc_url=None)
    web.install(app, registry, lambda: None if predictor.loaded else predictor.problem)

    def caller(request: Request) -> Caller:
        return tokens.caller(request.headers.get("authorization"))

    CurrentCaller = Annotated[Caller, Depends(caller)]  # noqa: N806 - a type

    def admin(current: CurrentCaller) -> Caller:
        if current.role != "admin":
            raise NotAllowed("this is for admins")
        return current

    CurrentAdmin = Annotated[Caller, Depends(admin)]  # noqa: N806 - a type

    @app.post("/predict", response_model_exclude_unset=True)
    async def predict(request: Request, current: CurrentCaller) -> Prediction:
        asked = await web.json_body(request, PredictRequest)
        if asked.model is not None:
            await asyncio.to_thread(predictor.chosen, asked.model)
        if not predictor.neighbours.ready(asked.date):
            await asyncio.to_thread(predictor.neighbours.on, asked.date)
        answer = predictor.predict(asked, web.request_id(request))
        await log.append(_record(asked, answer, current.subject))
        metrics.predicted(answer)
        return answer

    @app.post("/predict/batch", response_model=None)
    async def predict_batch(request: Request, current: CurrentCaller) -> Response:
        body = await request.body()
        table = request.headers.get("content-type", "").startswith("text/csv")
        rows = await asyncio.to_thread(rows_of_csv if table else rows_of_json, body)
        asked = await asyncio.to_thread(lambda: [parsed(row) for row in rows])
        answers = await asyncio.to_thread(predictor.batch, asked, web.request_id(request))
        given = [(one, answer) for one, answer in zip(asked, answers, strict=True)
                 if isinstance(one, PredictRequest) and isinstance(answer, Prediction)]  # fmt: skip
        await asyncio.gather(*(log.append(_record(one, answer, current.subject)) for one, answer in given))
        for _, answer in given:
            metrics.predicted(answer)
        if table and "text/csv" in request.headers.get("accept", ""):
            return Response(csv_of(rows, answers), media_type="text/csv; charset=utf-8")
        return JSONResponse([answer.model_dump(mode="json", exclude_unset=True) for answer in answers])

    @app.get("/forecast")
    def forecast(_: CurrentCaller, date: Annotated[date | None, Query()] = None) -> Forecast:
        newest = max(store.latest_days().values(), default=None)
        if newest is None:
            raise NotFound("there are no observations yet")
        return predictor.forecast(date or newest)

    @app.get("/model")
    async def model(_: CurrentCaller) -> dict[str, Any]:
        return _card(predictor, name)

    @app.post("/reload")
    def reload_now(_: CurrentCaller) -> dict[str, Any]:
        reload()
        return _card(predictor, name)

    @app.get("/stations")
    def list_stations(_: CurrentCaller) -> list[StationBody]:
        latest = store.latest_days()
        return [
            StationBody(**{field: getattr(place, field) for field in StationBody.model_fields if field != "latest"},
                        latest=latest.get(place.name))
            for place in stations().values()
        ]  # fmt: skip

    @app.get("/stations/{name}/observations")
    def observations(
        name: str, _: CurrentCaller, start: Annotated[date | None, Query()] = None,
        end: Annotated[date | None, Query()] = None,
    ) -> list[DayBody]:  # fmt: skip
        place = station(name)
        if start is None and end is None:
            newest = store.latest_days().get(place.name)
            start = newest and newest - timedelta(days=RECENT_DAYS - 1)
        return _days(store, place.name, start, end)

    @app.get("/ingestions")
    def ingestions(_: CurrentAdmin, limit: Limit = 50) -> list[IngestionBody]:
        return [IngestionBody(**row) for row in store.ingestions.latest(limit)]

    @app.get("/ingestions/{run_id}/quarantine")
    def quarantine_of(run_id: int, _: CurrentAdmin) -> list[QuarantinedBody]:
        store.ingestions.require(run_id)
        return [_quarantined(row) for row in store.quarantine.of_run(run_id)]

    @app.get("/quarantine")
    def quarantine(_: CurrentAdmin, state: QuarantineState | None = None, limit: Limit = 50) -> list[QuarantinedBody]:
        return [_quarantined(row) for row in store.quarantine.rows(state, limit)]

    @app.post("/quarantine/{row_id}/release")
    def release(row_id: int, admin: CurrentAdmin) -> QuarantinedBody:
        return _quarantined(store.quarantine.release(row_id, admin.subject))

    @app.post("/quarantine/{row_id}/discard")
    def discard(row_id: int, admin: CurrentAdmin) -> QuarantinedBody:
        return _quarantined(store.quarantine.discard(row_id, admin.subject))

    @app.get("/data-quality")
    def data_quality(_: CurrentAdmin, start: date | None = None, end: date | None = None) -> list[DataQuality]:
        return [DataQuality(**row) for row in store.quality(start, end)]

    @app.get("/state")
    def state(_: CurrentCaller) -> dict[str, Any]:
        serving = predictor.model.version if predictor.loaded else None
        return {"model_version": serving, "model_problem": predictor.problem, "simulated": store.simulated()}

    return app


def _days(store: ObservationStore, place: str, start: date | None, end: date | None) -> list[DayBody]:
    rows = store.window(start, end, [place])
    origin = store.provenance(place, start, end)
    flags: dict[date, list[FlagBody]] = {}
    for flag in store.flags(place, start, end):
        flags.setdefault(flag.day, []).append(FlagBody.model_validate(flag, from_attributes=True))
    return [
        DayBody(date=day, observation=items, flags=flags.get(day, []),
                **{name: origin[day][name] for name in ("source", "product", "site", "changed_at")})
        for day, items in zip(rows.day.tolist(), rows.items(), strict=True)
        if day in origin
    ]  # fmt: skip


def _quarantined(row: RowMapping) -> QuarantinedBody:
    return QuarantinedBody(**{name: row[name] for name in QuarantinedBody.model_fields})


def _record(asked: PredictRequest, answer: Prediction, subject: str) -> Record:
    return Record(
        prediction_id=answer.prediction_id,
        made_at=datetime.now(UTC),
        request_id=answer.request_id,
        subject=subject,
        station=answer.station,
        day=answer.date,
        observation=asked.observation.model_dump(exclude_none=True),
        probability=answer.probability,
        threshold=answer.threshold,
        rain_tomorrow=answer.rain_tomorrow,
        model_version=answer.model.version,
    )


def _card(predictor: Predictor, name: str) -> dict[str, Any]:
    model = predictor.model
    card = model.card.model_dump(mode="json", exclude={"file", "digests"})
    return {"name": name, "version": model.version, "problem": predictor.problem, **card}
