"""Requests that arrive at the same moment are answered together: one matrix, one run of the model, one commit.

Under load this spares most of what a single row costs; a lone request waits for nobody.
"""

import asyncio
from datetime import UTC, datetime
from typing import NamedTuple

from api_model.metrics import ModelMetrics
from api_model.predictor import Basis, Predictor
from meteo.forecasts.prediction_log import PredictionLog, Record
from meteo.schemas.forecasts import Prediction, PredictRequest

MOST = 64


class Waiting(NamedTuple):
    """A request that is answered with the others of its moment."""

    request: PredictRequest
    basis: Basis
    request_id: str
    subject: str
    answered: "asyncio.Future[Prediction]"


class MicroBatcher:
    """Predicts and records, on the event loop."""

    def __init__(self, predictor: Predictor, log: PredictionLog, metrics: ModelMetrics) -> None:
        self._predictor = predictor
        self._log = log
        self._metrics = metrics
        self._waiting: list[Waiting] = []

    async def predict(self, asked: PredictRequest, request_id: str, subject: str) -> Prediction:
        """The answer once it is in the log; MeteoError says what is wrong with the request or the service."""
        basis = self._predictor.basis(asked)
        if basis is None:
            answer = await asyncio.to_thread(self._predictor.predict, asked, request_id)
            await self._log.append([record(asked, answer, subject)])
            self._metrics.predicted(answer)
            return answer
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Prediction] = loop.create_future()
        self._waiting.append(Waiting(asked, basis, request_id, subject, answered))
        if len(self._waiting) == 1:
            loop.call_soon(self._answer, loop)
        return await answered

    def _answer(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            loop.call_soon(self._answer, loop)
        answers = self._predictor.predict_many(
            [one.request for one in group], [one.basis for one in group], [one.request_id for one in group]
        )
        good, records = [], []
        for one, answer in zip(group, answers, strict=True):
            if isinstance(answer, Prediction):
                good.append((one.answered, answer))
                records.append(record(one.request, answer, one.subject))
            elif not one.answered.done():
                one.answered.set_exception(answer)
        if good:
            self._log.put(records, lambda failure: loop.call_soon_threadsafe(self._settle, good, failure))

    def _settle(self, good: list[tuple[asyncio.Future[Prediction], Prediction]], failure: Exception | None) -> None:
        for answered, answer in good:
            if failure is None:
                self._metrics.predicted(answer)
            if answered.done():  # who asked is gone
                continue
            if failure is None:
                answered.set_result(answer)
            else:
                answered.set_exception(failure)


def record(asked: PredictRequest, answer: Prediction, subject: str) -> Record:
    """What the log keeps of an answer."""
    return Record(
        prediction_id=answer.prediction_id,
        made_at=datetime.now(UTC),
        request_id=answer.request_id,
        subject=subject,
        station=answer.station,
        day=answer.date,
        observation={name: value for name, value in vars(asked.observation).items() if value is not None},
        probability=answer.probability,
        threshold=answer.threshold,
        rain_tomorrow=answer.rain_tomorrow,
        model_version=answer.model.version,
    )
