"""Batches, answered piece by piece in threads of their own: single predictions, and other batches, come between."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from api_model.codecs.batch import read_batch
from api_model.codecs.rows import Given, Piece, Writer
from api_model.metrics import ModelMetrics
from api_model.micro_batching import record
from api_model.predictor import Predictor
from api_model.scoring import Scoring
from meteo.forecasts.prediction_log import PredictionLog
from meteo.schemas.forecasts import BatchError, Prediction, PredictRequest

THREADS = 2
PART_ROWS = 25_000
"""So many rows are scored before the first of them is answered: more would take more memory, fewer read the store more
often."""
Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class Batches:
    def __init__(self, predictor: Predictor, log: PredictionLog, metrics: ModelMetrics) -> None:
        self._predictor = predictor
        self._log = log
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS, "batch")

    def close(self) -> None:
        self._threads.shutdown()

    async def read(self, body: bytes, content_type: str) -> Given:
        """The batch in `body`; InvalidInput when it is none."""
        return await self._run(read_batch, body, content_type)

    def begin(self, request_id: str) -> Scoring:
        """What `answers` needs; Unavailable when nothing can be answered."""
        return Scoring(self._predictor, request_id)

    async def answers(self, given: Given, scoring: Scoring, writer: Writer, subject: str) -> AsyncIterator[bytes]:
        """The answers as they are written, each piece once it is in the log; who stops asking stops the work."""
        before = writer.head
        for pieces in _parts(given.pieces):
            scoring.begin(sum(piece.rows for piece in pieces))
            for piece in pieces:
                await self._run(_take, given, scoring, piece)
            steps = scoring.score()
            while await self._run(next, steps, False) is None:
                pass
            first = 0
            for piece in pieces:
                pairs, written = await self._run(_answered, given, scoring, writer, piece, first)
                await self._log.append([record(request, answer, subject) for request, answer in pairs])
                for _, answer in pairs:
                    self._metrics.predicted(answer)
                yield before + written
                first, before = first + piece.rows, writer.between
        yield writer.tail

    async def _run(self, work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _parts(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """The pieces that are scored together."""
    part: list[Piece] = []
    for piece in pieces:
        part.append(piece)
        if sum(one.rows for one in part) >= PART_ROWS:
            yield part
            part = []
    if part:
        yield part


def _take(given: Given, scoring: Scoring, piece: Piece) -> None:
    scoring.take(given.rows(piece))


def _answered(
    given: Given, scoring: Scoring, writer: Writer, piece: Piece, first: int
) -> tuple[list[tuple[PredictRequest, Prediction]], bytes]:
    """The answers to a piece with what they answer, and all of it as it is written."""
    rows = given.rows(piece)
    answers = scoring.answer(rows, first)
    good = [answer for answer in answers if not isinstance(answer, BatchError)]
    return good, writer.write(rows, [answer if isinstance(answer, BatchError) else answer[1] for answer in answers])
