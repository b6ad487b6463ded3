"""Predictions without HTTP: the served model, and how another takes its place."""

import math
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from api_model.model_cache import ModelCache
from api_model.neighbour_cache import NeighbourReadings, Neighbours, beside, period
from meteo.errors import InvalidInput, MeteoError, Unavailable
from meteo.features.matrix import FEATURE_NAMES
from meteo.features.neighbours import Surroundings
from meteo.forecasts.prediction_log import new_id
from meteo.models.bundle import Model
from meteo.observation import NAMES
from meteo.runtime.logs import logger
from meteo.schemas.forecasts import (
    Contribution,
    Forecast,
    ModelName,
    Period,
    Prediction,
    PredictRequest,
    StationForecast,
    check_day,
    missing_fields,
    observations_of,
)
from meteo.station import station, stations

_FORECASTS_KEPT = 32


@dataclass(frozen=True)
class Basis:
    """What one answer is made from besides the request; nothing is left to be loaded or read."""

    model: Model
    seen: NeighbourReadings


class Predictor:
    """Serves one model; a new one is loaded beside it and then swapped in, so each answer is of one version."""

    def __init__(self, cache: ModelCache, neighbours: Neighbours) -> None:
        self._cache = cache
        self.neighbours = neighbours
        self._model: Model | None = None
        self._others: dict[str, Model] = {}
        self._forecasts: dict[date, tuple[Model, Surroundings, Forecast]] = {}
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

    def resume(self) -> None:
        """Serve the model that served last on this machine, until the registry is asked."""
        self._model = self._cache.last()

    def reload(self) -> Model:
        """Load the champion if another version is champion now; on any failure the old one serves on, and `problem`
        says why."""
        with self._loading:
            try:
                champion = self._cache.source.require("champion")
                serving = self._model
                if serving is None or (serving.version, serving.digest) != (champion.version, champion.digest):
                    self._model = self._cache.load(champion)
                    self._cache.served(self._model)
                    logger().info("model loaded", version=champion.version)
            except MeteoError as error:
                if self.problem != error.detail:
                    logger().warning("model not loaded", reason=error.detail)
                self.problem = error.detail
                raise
            self.problem = None
            return self.model

    def warm(self) -> None:
        """Have explanations ready, so that the first who asks need not wait: XGBoost alone takes seconds to import."""
        with suppress(InvalidInput):  # of a kind that explains nothing
            self.model.estimator.contributions(np.full((1, len(FEATURE_NAMES)), np.nan, np.float32))

    def chosen(self, version: str | None) -> Model:
        """The champion, or the published version asked for; loading one may take seconds."""
        if version is None or (self._model is not None and version == self._model.version):
            return self.model
        model = self._others.get(version)
        if model is None:
            with self._loading:
                model = self._others.get(version) or self._cache.load(self._cache.source.get(version))
                self._others = {**dict(list(self._others.items())[-3:]), version: model}
        return model

    def basis(self, request: PredictRequest, now: datetime | None = None) -> Basis | None:
        """What `predict_many` needs for this answer; None where something must first be loaded, read or explained, by
        `predict`. UnknownStation or InvalidInput name what is wrong with the request."""
        check(request, now or datetime.now(UTC))
        if request.explain:
            return None
        model = self.model if request.model is None else self._others.get(request.model)
        seen = self.neighbours.at_hand(request.station, request.date)
        return None if model is None or seen is None else Basis(model, seen)

    def predict(self, request: PredictRequest, request_id: str, now: datetime | None = None) -> Prediction:
        """The answer to `request`: a model may be loaded and the store be read for it. UnknownStation or InvalidInput
        name what is wrong with it."""
        check(request, now or datetime.now(UTC))
        basis = Basis(self.chosen(request.model), self.neighbours.seen(request.station, request.date))
        (answer,) = self.predict_many([request], [basis], [request_id])
        if isinstance(answer, Exception):
            raise answer
        return self._explained(request, basis, answer) if request.explain else answer

    def _explained(self, request: PredictRequest, basis: Basis, answer: Prediction) -> Prediction:
        """The answer with what each feature added to the log-odds."""
        model = basis.model
        row, rained = observations_of([request])
        matrix = model.matrix(row, basis.seen, rained)
        effects, answer.base = model.estimator.contributions(matrix)
        answer.margin = float(model.estimator.margin(matrix)[0])
        answer.contributions = [
            Contribution(feature=name, value=None if np.isnan(value) else float(value), effect=float(effect))
            for name, value, effect in zip(model.card.features, matrix[0], effects[0], strict=True)
        ]
        return answer

    def predict_many(
        self, requests: Sequence[PredictRequest], bases: Sequence[Basis], ids: Sequence[str]
    ) -> list[Prediction | Exception]:
        """The answers, computed at once from what is at hand; one that fails harms no other."""
        answers: list[Prediction | Exception] = [Unavailable("not answered")] * len(requests)
        of_model: dict[Model, list[int]] = {}
        for index, basis in enumerate(bases):
            of_model.setdefault(basis.model, []).append(index)
        for model, members in of_model.items():
            given, seen = [requests[index] for index in members], [bases[index].seen for index in members]
            try:
                rows, rained = observations_of(given)
                margins = model.estimator.margin(model.matrix(rows, beside(seen), rained)).tolist()
                for index, margin, others in zip(members, margins, seen, strict=True):
                    answers[index] = self.answer(requests[index], ids[index], model, margin, others.used, others.period)
            except Exception as error:  # of one of them: each by itself, so that the others are answered
                if len(members) == 1:
                    answers[members[0]] = error
                    continue
                for index in members:
                    (answers[index],) = self.predict_many([requests[index]], [bases[index]], [ids[index]])
        return answers

    def forecast(self, day: date | None) -> Forecast:
        """Every station's chance from its stored row of `day`, by default the newest; computed again only when the
        observations or the model have changed."""
        day = day or self.neighbours.newest()
        model, around = self.model, self.neighbours.on(day)
        known = self._forecasts.get(day)
        if known is None or known[0] is not model or known[1] is not around:
            known = (model, around, self._forecast(day, model, around))
            self._forecasts = {**dict(list(self._forecasts.items())[-_FORECASTS_KEPT + 1 :]), day: known}
        return known[2]

    def _forecast(self, day: date, model: Model, around: Surroundings) -> Forecast:
        stored = self.neighbours.rows(day)
        row_of = {name: row for row, name in enumerate(stored.station.tolist())}
        chance = model.probability(model.matrix(stored, around)) if len(stored) else np.empty(0)
        used = around.used(stored.station, stored.day)
        forecasts = []
        for place in stations().values():
            row = row_of.get(place.name)
            forecasts.append(
                StationForecast(
                    station=place.name,
                    period=period(place.name, day),
                    probability=None if row is None else float(chance[row]),
                    rain_tomorrow=None if row is None else bool(chance[row] >= model.card.threshold),
                    missing=[] if row is None else missing_fields(stored.values[row]),
                    neighbours_used=0 if row is None else int(used[row]),
                )
            )
        return Forecast(
            date=day,
            model=self._name(model.version),
            threshold=model.card.threshold,
            simulated=model.card.simulated,
            stations=forecasts,
        )

    def answer(
        self, request: PredictRequest, request_id: str, model: Model, margin: float, used: int, covers: Period
    ) -> Prediction:
        """The answer that these log-odds are."""
        probability = 1 / (1 + math.exp(-margin))
        return Prediction.model_construct(
            prediction_id=new_id(),
            station=request.station,
            date=request.date,
            period=covers,
            probability=probability,
            rain_tomorrow=probability >= model.card.threshold,
            threshold=model.card.threshold,
            usual=model.climate.rate(request.station, request.date),
            model=self._name(model.version),
            missing=[name for name in NAMES if getattr(request.observation, name) is None],
            neighbours_used=used,
            request_id=request_id,
            simulated=model.card.simulated,
        )

    def _name(self, version: str) -> ModelName:
        return ModelName(name=self._cache.source.name, version=version)


def check(request: PredictRequest, now: datetime) -> None:
    """UnknownStation or InvalidInput name what is wrong with the request."""
    check_day(request.date, station(request.station).today(now))
