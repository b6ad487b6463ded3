"""The model API: internal, for callers with a service token only."""

import asyncio
import ctypes
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from sqlalchemy import RowMapping

from api_model import batch
from api_model.metrics import ModelMetrics, StoreMetrics
from api_model.past import live_quality, past_predictions
from api_model.predictor import Predictor
from api_model.together import Together
from meteo import web
from meteo.auth import Caller, ServiceTokens
from meteo.contract import (
    Champion,
    DataQuality,
    Day,
    DayBody,
    FileName,
    FlagBody,
    Forecast,
    IngestionBody,
    LiveQuality,
    ModelVersion,
    PastPrediction,
    PredictRequest,
    Promotion,
    QuarantinedBody,
    QuarantineState,
    RowId,
    StationBody,
    UploadBody,
)
from meteo.errors import MeteoError, NotAllowed
from meteo.model import Model
from meteo.prediction_log import PredictionLog
from meteo.quality import By
from meteo.registry import Promotions, Published, Registry
from meteo.station import station, stations
from meteo.store import ObservationStore

RECENT_DAYS = 14
Version = Annotated[str, PathParameter(pattern="^[0-9]{1,9}$")]
_METRICS = ("roc_auc", "pr_auc", "brier", "log_loss", "ece", "n", "base_rate")
Limit = Annotated[int, Query(ge=1, le=500)]


def create_app(
    predictor: Predictor,
    log: PredictionLog,
    store: ObservationStore,
    tokens: ServiceTokens,
    registry: Registry,
    *,
    poll_seconds: float,
    minimum_outcomes: int = 200,
) -> FastAPI:
    collectors = CollectorRegistry()
    metrics = ModelMetrics(collectors, log.waiting)
    collectors.register(StoreMetrics(store))

    promotions = Promotions(registry, store.engine)

    def reload() -> None:
        try:
            metrics.serving(registry.name, predictor.reload())
        except MeteoError:
            metrics.reload_failed()
            raise

    async def follow_champion() -> None:
        settled = False
        while True:
            with suppress(MeteoError):  # said by the predictor, which serves on
                await asyncio.to_thread(reload)
            if predictor.loaded and not settled:
                settled = True
                await asyncio.to_thread(predictor.warm)
                _settle()
            await asyncio.sleep(poll_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.start()
        store.create()
        predictor.resume()
        if predictor.loaded:
            metrics.serving(registry.name, predictor.model)
        following = asyncio.create_task(follow_champion())
        yield
        following.cancel()
        log.stop()

    app = FastAPI(title="Rain tomorrow: model API", lifespan=lifespan, docs_url=None, redoc_url=None)
    together = Together(predictor, log, metrics)

    async def predict(request: Request) -> Response:
        current = await caller(request)
        asked = await web.json_body(request, PredictRequest)
        answer = await together.predict(asked, web.request_id(request), current.subject)
        return Response(answer.model_dump_json(exclude_unset=True), media_type="application/json")

    app.add_middleware(web.Lane, path="/predict", answer=predict)
    web.install(app, collectors, lambda: None if predictor.loaded else predictor.problem)

    async def caller(request: Request) -> Caller:
        return tokens.caller(request.headers.get("authorization"))

    CurrentCaller = Annotated[Caller, Depends(caller)]  # noqa: N806 - a type

    async def admin(current: CurrentCaller) -> Caller:
        if current.role != "admin":
            raise NotAllowed("this is for admins")
        return current

    CurrentAdmin = Annotated[Caller, Depends(admin)]  # noqa: N806 - a type

    @app.post("/predict/batch", response_model=None)
    async def predict_batch(request: Request, current: CurrentCaller) -> Response:
        form = batch.form_of(request.headers.get("content-type", ""), request.headers.get("accept", ""))
        body = await web.body(request, batch.JSON, batch.CSV, batch.ARROW)
        rows = await asyncio.to_thread(form.read, body)
        asked = await asyncio.to_thread(lambda: [batch.parsed(row) for row in rows])
        answers = await together.batch(asked, web.request_id(request), current.subject)
        return Response(await asyncio.to_thread(form.write, rows, answers), media_type=form.media_type)

    @app.get("/forecast")
    def forecast(_: CurrentCaller, date: Annotated[Day | None, Query()] = None) -> Forecast:
        return predictor.forecast(date)

    @app.get("/predictions")
    def predictions(
        current: CurrentCaller, station: str | None = None, start: Day | None = None, end: Day | None = None,
        limit: Limit = 100,
    ) -> list[PastPrediction]:  # fmt: skip
        subject = None if current.role == "admin" else current.subject
        return past_predictions(log.engine, store, subject, station, (start, end), limit)

    @app.get("/quality")
    def served_quality(
        _: CurrentAdmin, start: Day | None = None, end: Day | None = None, by: By = "version"
    ) -> list[LiveQuality]:
        return live_quality(log.engine, store, (start, end), minimum_outcomes, by)

    @app.get("/model")
    async def model(_: CurrentCaller) -> dict[str, Any]:
        return _card(predictor, registry.name)

    @app.get("/models")
    def models(_: CurrentCaller) -> list[ModelVersion]:
        return [_version(entry) for entry in registry.versions()]

    @app.get("/models/{version}")
    def model_card(version: Version, _: CurrentCaller) -> dict[str, Any]:
        found = predictor.chosen(version)
        return {"name": registry.name, "version": version, **_public(found)}

    @app.post("/models/{version}/promote")
    def promote(version: Version, _: CurrentAdmin, asked: Promotion) -> Champion:
        predictor.chosen(version)  # it must load before it may serve
        previous = promotions.promote(version, asked.expected)
        reload()
        return Champion(version=version, previous=previous)

    @app.post("/models/rollback")
    def rollback(_: CurrentAdmin) -> Champion:
        old, new = promotions.rollback()
        reload()
        return Champion(version=new, previous=old)

    @app.post("/reload")
    def reload_now(_: CurrentCaller) -> dict[str, Any]:
        reload()
        return _card(predictor, registry.name)

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
        name: str, _: CurrentCaller, start: Annotated[Day | None, Query()] = None,
        end: Annotated[Day | None, Query()] = None,
    ) -> list[DayBody]:  # fmt: skip
        place = station(name)
        if start is None and end is None:
            newest = store.latest_days().get(place.name)
            start = newest and newest - timedelta(days=RECENT_DAYS - 1)
        return _days(store, place.name, start, end)

    @app.post("/uploads", status_code=201)
    async def upload(name: FileName, request: Request, admin: CurrentAdmin) -> UploadBody:
        content = await web.body(request, batch.CSV)
        kept = await asyncio.to_thread(store.uploads.put, name, content, admin.subject)
        return UploadBody(id=kept.id, name=kept.name)

    @app.get("/uploads")
    def waiting_uploads(_: CurrentAdmin) -> list[UploadBody]:
        return [UploadBody(id=each.id, name=each.name) for each in store.uploads.waiting()]

    @app.get("/ingestions")
    def ingestions(_: CurrentAdmin, limit: Limit = 50) -> list[IngestionBody]:
        return [IngestionBody(**row) for row in store.ingestions.latest(limit)]

    @app.get("/ingestions/{run_id}/quarantine")
    def quarantine_of(run_id: RowId, _: CurrentAdmin) -> list[QuarantinedBody]:
        store.ingestions.require(run_id)
        return [_quarantined(row) for row in store.quarantine.of_run(run_id)]

    @app.get("/quarantine")
    def quarantine(_: CurrentAdmin, state: QuarantineState | None = None, limit: Limit = 50) -> list[QuarantinedBody]:
        return [_quarantined(row) for row in store.quarantine.rows(state, limit)]

    @app.post("/quarantine/{row_id}/release")
    def release(row_id: RowId, admin: CurrentAdmin) -> QuarantinedBody:
        return _quarantined(store.quarantine.release(row_id, admin.subject))

    @app.post("/quarantine/{row_id}/discard")
    def discard(row_id: RowId, admin: CurrentAdmin) -> QuarantinedBody:
        return _quarantined(store.quarantine.discard(row_id, admin.subject))

    @app.get("/data-quality")
    def data_quality(_: CurrentAdmin, start: Day | None = None, end: Day | None = None) -> list[DataQuality]:
        return [DataQuality(**row) for row in store.quality(start, end)]

    @app.get("/state")
    def state(_: CurrentCaller) -> dict[str, Any]:
        serving = predictor.model.version if predictor.loaded else None
        return {"model_version": serving, "model_problem": predictor.problem, "simulated": store.simulated()}

    return app


def _settle() -> None:
    """Once started: give back the memory that starting took, and have garbage collections pass over what will live
    long, which would stall answers by tens of milliseconds."""
    gc.collect()
    gc.freeze()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # where the C library is glibc
        trim(0)


def _days(store: ObservationStore, place: str, start: Day | None, end: Day | None) -> list[DayBody]:
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


def _card(predictor: Predictor, name: str) -> dict[str, Any]:
    model = predictor.model
    return {"name": name, "version": model.version, "problem": predictor.problem, **_public(model)}


def _public(model: Model) -> dict[str, Any]:
    return model.card.model_dump(mode="json", exclude={"digests"})


def _version(entry: Published) -> ModelVersion:
    return ModelVersion(
        version=entry.version,
        aliases=list(entry.aliases),
        kind=entry.tags.get("kind", ""),
        created_at=datetime.fromtimestamp(entry.created_at_ms / 1000, UTC),
        data_version=entry.tags.get("data_version", ""),
        git_commit=entry.tags.get("git_commit", ""),
        simulated=entry.tags.get("simulated") == "true",
        metrics={name: float(entry.tags[name]) for name in _METRICS if name in entry.tags},
        gate=entry.tags.get("gate"),
        gate_reasons=entry.tags.get("gate_reasons"),
    )
