"""Requests that arrive at the same moment are answered together: one matrix, one run of the model, one commit.

Under load this spares most of what a single row costs; a lone request waits for nobody.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from api_model.metrics import ModelMetrics
from api_model.predictor import Predictor
from meteo.contract import BatchError, Prediction, PredictRequest
from meteo.prediction_log import PredictionLog, Record

MOST = 64


class Together:
    """Predicts and records, on the event loop."""

    def __init__(self, predictor: Predictor, log: PredictionLog, metrics: ModelMetrics) -> None:
        self._predictor = predictor
        self._log = log
        self._metrics = metrics
        self._waiting: list[tuple[PredictRequest, str, str, asyncio.Future[Prediction]]] = []

    async def predict(self, asked: PredictRequest, request_id: str, subject: str) -> Prediction:
        """The answer once it is in the log; MeteoError says what is wrong with the request or the service."""
        if not self._predictor.ready(asked):
            answer = await asyncio.to_thread(self._predictor.predict, asked, request_id)
            await self._log.append([record(asked, answer, subject)])
            self._metrics.predicted(answer)
            return answer
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Prediction] = loop.create_future()
        self._waiting.append((asked, request_id, subject, answered))
        if len(self._waiting) == 1:
            loop.call_soon(self._answer, loop)
        return await answered

    async def batch(
        self, asked: Sequence[PredictRequest | BatchError], request_id: str, subject: str
    ) -> list[Prediction | BatchError]:
        """Each row's answer in its place, once all are in the log; they are written while the next are computed."""
        loop = asyncio.get_running_loop()
        writing: list[asyncio.Future[None]] = []

        def log(pairs: Sequence[tuple[PredictRequest, Prediction]]) -> None:
            records = [record(one, answer, subject) for one, answer in pairs]
            loop.call_soon_threadsafe(lambda: writing.append(asyncio.ensure_future(self._log.append(records))))

        answers = await asyncio.to_thread(self._predictor.batch, asked, request_id, done=log)
        await asyncio.gather(*writing)
        for answer in answers:
            if isinstance(answer, Prediction):
                self._metrics.predicted(answer)
        return answers

    def _answer(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            loop.call_soon(self._answer, loop)
        answers: Sequence[Prediction | Exception]
        try:
            answers = self._predictor.together([asked for asked, *_ in group], [name for _, name, *_ in group])
        except Exception as error:  # of no request of its own: all hear of it
            answers = [error] * len(group)
        good, records = [], []
        for (asked, _, subject, answered), answer in zip(group, answers, strict=True):
            if isinstance(answer, Prediction):
                good.append((answered, answer))
                records.append(record(asked, answer, subject))
            elif not answered.done():
                answered.set_exception(answer)
        if good and self._log.now(records):
            self._settle(good, None)
        elif good:
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
