"""Predictions without HTTP: the served model, and how another takes its place."""

import threading
import uuid
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from api_model.neighbours import Neighbours
from meteo.contract import (
    Contribution,
    ModelName,
    Period,
    Prediction,
    PredictRequest,
    check_day,
    missing_fields,
    observations_of,
)
from meteo.errors import MeteoError, Unavailable
from meteo.logs import logger
from meteo.model import Model, sigmoid
from meteo.observation import rain_period
from meteo.station import station


class Source(Protocol):
    """Where published models come from (`meteo.registry.Registry`)."""

    @property
    def name(self) -> str: ...

    def version_of(self, alias: str) -> str | None: ...

    def load(self, alias: str) -> Model: ...

    def load_version(self, version: str) -> Model: ...


class Predictor:
    """Serves one model; a new one is loaded beside it and then swapped in, so each answer is of one version."""

    def __init__(self, source: Source, neighbours: Neighbours) -> None:
        self._source = source
        self.neighbours = neighbours
        self._model: Model | None = None
        self._others: dict[str, Model] = {}
        self._loading = threading.Lock()
        self.problem: str | None = "no model has been loaded yet"

    @property
    def model(self) -> Model:
        """The model that serves; Unavailable before there is one."""
        if self._model is None:
            raise Unavailable(f"no model is loaded: {self.problem}")
        return self._model

    @property
    def loaded(self) -> bool:
        return self._model is not None

    def reload(self) -> Model:
        """Load the champion if another version is champion now; on any failure the old one serves on, and `problem`
        says why."""
        with self._loading:
            try:
                version = self._source.version_of("champion")
                if self._model is None or version != self._model.version:
                    self._model = self._source.load("champion")
                    logger().info("model loaded", version=self._model.version)
            except MeteoError as error:
                if self.problem != error.detail:
                    logger().warning("model not loaded", reason=error.detail)
                self.problem = error.detail
                raise
            self.problem = None
            return self._model

    def chosen(self, version: str | None) -> Model:
        """The champion, or the published version asked for; loading one may take a second."""
        if version is None or (self._model is not None and version == self._model.version):
            return self.model
        with self._loading:
            if version not in self._others:
                self._others = {**dict(list(self._others.items())[-3:]), version: self._source.load_version(version)}
        return self._others[version]

    def predict(self, request: PredictRequest, request_id: str, now: datetime | None = None) -> Prediction:
        """The answer to `request`; UnknownStation or InvalidInput name what is wrong with it."""
        place = station(request.station)
        check_day(request.date, place.today(now or datetime.now(UTC)))
        row, rained = observations_of(request)
        model = self.chosen(request.model)
        around = self.neighbours.on(request.date)
        matrix = model.matrix(row, around, rained)
        margin = float(model.estimator.margin(matrix)[0])
        probability = float(sigmoid(np.array([margin]))[0])
        start, end = rain_period(request.date, place.zone)
        answer = Prediction(
            prediction_id=uuid.uuid4().hex,
            station=request.station,
            date=request.date,
            period=Period(start=start, end=end),
            probability=probability,
            rain_tomorrow=probability >= model.card.threshold,
            threshold=model.card.threshold,
            model=ModelName(name=self._source.name, version=model.version),
            missing=missing_fields(row),
            neighbours_used=int(around.used(row.station, row.day)[0]),
            request_id=request_id,
            simulated=model.card.simulated,
        )
        if request.explain:
            effects, answer.base = model.estimator.contributions(matrix)
            answer.margin = margin
            answer.contributions = [
                Contribution(feature=name, value=None if np.isnan(value) else float(value), effect=float(effect))
                for name, value, effect in zip(model.card.features, matrix[0], effects[0], strict=True)
            ]
        return answer
