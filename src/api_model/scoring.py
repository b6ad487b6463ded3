"""A batch on its way to answers, without HTTP: part after part, `take` its rows piece by piece, `score` them all, and
`answer` them again piece by piece.

Those of days close together are scored at a time: in the order in which they came the store might be read for every
piece from end to end. Kept of a row meanwhile are numbers alone.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from api_model.codecs.rows import PIECE_ROWS, parsed, refusal
from api_model.neighbour_cache import period
from api_model.predictor import Predictor, check
from meteo.errors import InvalidInput, MeteoError
from meteo.features.station_row import PLACE, STATIONS
from meteo.models.bundle import Model
from meteo.observation import FIELDS, Observations
from meteo.schemas.forecasts import BatchError, Prediction, PredictRequest, observations_of

MODELS_AT_ONCE = 3
"""How many versions the rows of one batch may name: each may have to be loaded."""
_STATIONS = np.array(STATIONS)


class Scoring:
    """Unavailable where there is no champion; each answer is of the one that was champion at the beginning."""

    def __init__(self, predictor: Predictor, request_id: str, now: datetime | None = None) -> None:
        self._predictor = predictor
        self._request_id = request_id
        self._now = now or datetime.now(UTC)
        self._models: dict[str | None, Model | str] = {None: predictor.model}

    def begin(self, count: int) -> None:
        """A part of so many rows is next."""
        self._taken = 0
        self._version = np.full(count, -1, np.int8)
        self._place = np.zeros(count, np.int8)
        self._day = np.zeros(count, "datetime64[D]")
        self._values = np.empty((count, len(FIELDS)))
        self._rained = np.empty(count)
        self._margin = np.empty(count)
        self._used = np.empty(count, np.int16)

    def take(self, rows: Sequence[Any]) -> None:
        """The next rows, as they were read."""
        sound = [
            (place, request)
            for place, request in enumerate(map(self._request, rows), self._taken)
            if isinstance(request, PredictRequest)
        ]
        self._taken += len(rows)
        if not sound:
            return
        at, requests = [place for place, _ in sound], [request for _, request in sound]
        observations, self._rained[at] = observations_of(requests)
        self._day[at], self._values[at] = observations.day, observations.values
        self._place[at] = [PLACE[request.station] for request in requests]
        versions = list(self._models)
        self._version[at] = [versions.index(request.model) for request in requests]

    def score(self) -> Iterator[None]:
        """Compute the log-odds of all rows that were taken since `begin`, step by step."""
        for number, model in enumerate(self._models.values()):
            members = np.flatnonzero(self._version == number)
            if isinstance(model, str) or not len(members):
                continue
            for close, around in self._predictor.neighbours.along(self._day[members]):
                for first in range(0, len(close), PIECE_ROWS):
                    some = members[close[first : first + PIECE_ROWS]]
                    rows = Observations(_STATIONS[self._place[some]], self._day[some], self._values[some])
                    self._margin[some] = model.estimator.margin(model.matrix(rows, around, self._rained[some]))
                    self._used[some] = around.used(rows.station, rows.day)
                    yield

    def answer(self, rows: Sequence[Any], first: int) -> list[tuple[PredictRequest, Prediction] | BatchError]:
        """Each row, the first of which is the part's number `first`, with its answer, or what is wrong with it."""
        return [self._answer(self._request(row), place) for place, row in enumerate(rows, first)]

    def _answer(
        self, request: PredictRequest | BatchError, place: int
    ) -> tuple[PredictRequest, Prediction] | BatchError:
        if isinstance(request, BatchError):
            return request
        model = self._models[request.model]
        assert isinstance(model, Model)
        covers = period(request.station, request.date)
        margin, used = float(self._margin[place]), int(self._used[place])
        return request, self._predictor.answer(request, self._request_id, model, margin, used, covers)

    def _request(self, row: Any) -> PredictRequest | BatchError:
        """The row as a request that can be answered; reasons are not given here."""
        request = parsed(row)
        if isinstance(request, BatchError):
            return request
        try:
            if request.explain:
                message = "reasons are given for one row at a time, by /predict"
                raise InvalidInput(f"explain: {message}", [("explain", message)])
            check(request, self._now)
            if isinstance(why := self._model(request.model), str):
                raise InvalidInput(f"model: {why}", [("model", why)])
        except InvalidInput as error:
            return refusal(error.fields)
        return request

    def _model(self, version: str | None) -> Model | str:
        """The model asked for, or why there is none; a choice holds for the whole batch."""
        if version not in self._models:
            if len(self._models) > MODELS_AT_ONCE:
                return f"more than {MODELS_AT_ONCE} in a batch"
            try:
                self._models[version] = self._predictor.chosen(version)
            except MeteoError as error:
                self._models[version] = error.detail
        return self._models[version]
