"""Predictions without HTTP: the served model, and how another takes its place."""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime

import numpy as np

from api_model.batch import refused
from api_model.neighbours import Neighbours, beside, period
from api_model.shelf import Shelf
from meteo import features
from meteo.contract import (
    BatchError,
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
from meteo.errors import InvalidInput, MeteoError, Unavailable
from meteo.logs import logger
from meteo.model import Model
from meteo.observation import Floats
from meteo.prediction_log import new_id
from meteo.station import station, stations
from meteo.surroundings import Surroundings

_FORECASTS_KEPT = 32
MODELS_AT_ONCE = 3
"""How many versions the rows of one batch may name: each may have to be loaded."""


class Predictor:
    """Serves one model; a new one is loaded beside it and then swapped in, so each answer is of one version."""

    def __init__(self, shelf: Shelf, neighbours: Neighbours) -> None:
        self._shelf = shelf
        self.neighbours = neighbours
        self._model: Model | None = None
        self._others: dict[str, Model] = {}
        self._names: dict[str, ModelName] = {}
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
        self._model = self._shelf.last()

    def reload(self) -> Model:
        """Load the champion if another version is champion now; on any failure the old one serves on, and `problem`
        says why."""
        with self._loading:
            try:
                champion = self._shelf.source.require("champion")
                serving = self._model
                if serving is None or (serving.version, serving.digest) != (champion.version, champion.digest):
                    self._model = self._shelf.load(champion)
                    self._shelf.served(self._model)
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
            self.model.estimator.contributions(np.full((1, len(features.NAMES)), np.nan, np.float32))

    def chosen(self, version: str | None) -> Model:
        """The champion, or the published version asked for; loading one may take seconds."""
        if version is None or (self._model is not None and version == self._model.version):
            return self.model
        found = self._others.get(version)
        if found is None:
            with self._loading:
                found = self._others.get(version) or self._shelf.load(self._shelf.source.get(version))
                self._others = {**dict(list(self._others.items())[-3:]), version: found}
        return found

    def ready(self, request: PredictRequest) -> bool:
        """Whether `predict` answers at once: nothing to be loaded, read or explained."""
        known = request.model is None or request.model in self._others
        return known and not request.explain and self.neighbours.ready(request.date)

    def predict(self, request: PredictRequest, request_id: str, now: datetime | None = None) -> Prediction:
        """The answer to `request`; UnknownStation or InvalidInput name what is wrong with it."""
        _check(request, now or datetime.now(UTC))
        row, rained = observations_of([request])
        model = self.chosen(request.model)
        seen = self.neighbours.seen(request.station, request.date)
        matrix = model.matrix(row, seen, rained)
        margin = float(model.estimator.margin(matrix)[0])
        answer = self._answer(request, request_id, model, margin, row.values[0], seen.used, seen.period)
        if request.explain:
            effects, answer.base = model.estimator.contributions(matrix)
            answer.margin = margin
            answer.contributions = [
                Contribution(feature=name, value=None if np.isnan(value) else float(value), effect=float(effect))
                for name, value, effect in zip(model.card.features, matrix[0], effects[0], strict=True)
            ]
        return answer

    def together(self, requests: Sequence[PredictRequest], ids: Sequence[str]) -> list[Prediction | MeteoError]:
        """The answers to requests that are all `ready`, computed at once; what is wrong with one harms no other."""
        now = datetime.now(UTC)
        answers: list[Prediction | MeteoError | None] = [None] * len(requests)
        sound: dict[str | None, list[int]] = {}
        for index, request in enumerate(requests):
            try:
                _check(request, now)
                sound.setdefault(request.model, []).append(index)
            except MeteoError as error:
                answers[index] = error
        for version, members in sound.items():
            model = self.chosen(version)
            given = [requests[index] for index in members]
            seen = [self.neighbours.seen(request.station, request.date) for request in given]
            rows, rained = observations_of(given)
            margins = model.estimator.margin(model.matrix(rows, beside(seen), rained)).tolist()
            for place, index in enumerate(members):
                answers[index] = self._answer(
                    given[place], ids[index], model, margins[place], rows.values[place], seen[place].used,
                    seen[place].period,
                )  # fmt: skip
        return [answer for answer in answers if answer is not None]

    def _unusable(self, versions: set[str | None]) -> dict[str | None, str]:
        """Why some of these versions cannot answer; Unavailable when there is no champion for who names none."""
        named = sorted(version for version in versions if version is not None)
        found: dict[str | None, str] = dict.fromkeys(named[MODELS_AT_ONCE:], f"more than {MODELS_AT_ONCE} in a batch")
        for version in named[:MODELS_AT_ONCE]:
            try:
                self.chosen(version)
            except MeteoError as error:
                found[version] = error.detail
        if None in versions:
            self.chosen(None)
        return found

    def batch(
        self,
        requests: Sequence[PredictRequest | BatchError],
        request_id: str,
        now: datetime | None = None,
        done: Callable[[Sequence[tuple[PredictRequest, Prediction]]], object] = lambda _: None,
    ) -> list[Prediction | BatchError]:
        """Each row's answer in its place, computed together; reasons are not given here. `done` is told of the answers
        as they come, some at a time."""
        answers: list[Prediction | BatchError] = []
        sound: dict[str | None, list[int]] = {}
        unusable = self._unusable({request.model for request in requests if isinstance(request, PredictRequest)})
        for index, request in enumerate(requests):
            answers.append(BatchError(detail="", errors=[]) if isinstance(request, PredictRequest) else request)
            if isinstance(request, PredictRequest):
                try:
                    if request.explain:
                        message = "reasons are given for one row at a time, by /predict"
                        raise InvalidInput(f"explain: {message}", [("explain", message)])
                    _check(request, now or datetime.now(UTC))
                    if why := unusable.get(request.model):
                        raise InvalidInput(f"model: {why}", [("model", why)])
                except InvalidInput as error:
                    answers[index] = refused(error.fields)
                else:
                    sound.setdefault(request.model, []).append(index)
        for version, members in sound.items():
            given = [
                request for request in (requests[index] for index in members) if isinstance(request, PredictRequest)
            ]
            model = self.chosen(version)
            rows, rained = observations_of(given)
            for close, around in self.neighbours.along(rows.day):
                some = rows[close]
                margins = model.estimator.margin(model.matrix(some, around, rained[close])).tolist()
                used = around.used(some.station, some.day).tolist()
                told = []
                for place, margin, count, values in zip(close.tolist(), margins, used, some.values, strict=True):
                    one = given[place]
                    covers = period(one.station, one.date)
                    answer = self._answer(one, request_id, model, margin, values, count, covers)
                    answers[members[place]] = answer
                    told.append((one, answer))
                done(told)
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
        found = []
        for place in stations().values():
            row = row_of.get(place.name)
            found.append(
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
            stations=found,
        )

    def _answer(
        self, request: PredictRequest, request_id: str, model: Model, margin: float, values: Floats, used: int,
        covers: Period,
    ) -> Prediction:  # fmt: skip
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
            missing=missing_fields(values),
            neighbours_used=used,
            request_id=request_id,
            simulated=model.card.simulated,
        )

    def _name(self, version: str) -> ModelName:
        known = self._names.get(version)
        if known is None:
            known = self._names[version] = ModelName(name=self._shelf.source.name, version=version)
        return known


def _check(request: PredictRequest, now: datetime) -> None:
    check_day(request.date, station(request.station).today(now))
