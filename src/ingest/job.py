"""Ingestion: source -> landing -> parser -> checks -> store, one transaction a file, and a record of the run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from ingest.checks import check
from ingest.landing import Landing
from ingest.parser import parse
from ingest.sources import Missing, Source
from meteo.errors import MeteoError, UnreadableFile
from meteo.store import Batch, Changes, ObservationStore


@dataclass(frozen=True)
class Request:
    """Which station-days to keep; None keeps all."""

    source: str
    start: date | None = None
    end: date | None = None
    stations: Sequence[str] | None = None

    def select(self, batch: Batch) -> Batch:
        rows = batch.observations
        keep = np.ones(len(rows), dtype=bool)
        if self.start is not None:
            keep &= rows.day >= np.datetime64(self.start, "D")
        if self.end is not None:
            keep &= rows.day <= np.datetime64(self.end, "D")
        if self.stations is not None:
            keep &= np.isin(rows.station, list(self.stations))
        return Batch(rows[keep], batch.product, batch.quarantined)


class Ingestion:
    """One run over everything a source yields."""

    def __init__(
        self,
        store: ObservationStore,
        landing: Landing,
        source: Source,
        request: Request,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._landing = landing
        self._source = source
        self._request = request
        self._now = now

    def run(self, progress: Callable[[str], None]) -> dict[str, Any]:
        """Ingest; `progress` hears of each file when it is done.

        A file that cannot be read is a problem in the summary and the others go on; a run in which no file could be
        read fails. What was stored before a failure stays, and a rerun finds it unchanged.
        """
        request = self._request
        asked = {"start": _iso(request.start), "end": _iso(request.end), "stations": request.stations}
        run_id = self._store.start_run(request.source, asked)
        total, refused, files, size = Changes(), 0, 0, 0
        problems: list[str] = []
        state = "failed"
        try:
            for found in self._source.files():
                if isinstance(found, Missing):
                    problems.append(f"{found.name}: {found.reason}")
                    progress(found.name)
                    continue
                self._landing.keep(found.content)
                try:
                    batches = (check(request.select(batch), self._now())
                               for batch in parse(found.content, found.name, found.product))  # fmt: skip
                    changes, quarantined = self._store.upsert(run_id, request.source, found.name, batches)
                except UnreadableFile as error:
                    problems.append(error.detail)
                else:
                    total, refused, files = total + changes, refused + quarantined, files + 1
                    size += len(found.content)
                progress(found.name)
            if files:
                state = "success"
        except MeteoError as error:
            problems.append(error.detail)
            raise
        finally:
            self._store.finish_run(run_id, state, files=files, size=size, problems=problems)
        if state == "failed":
            raise UnreadableFile("no file could be read: " + "; ".join(problems[:3]))
        return {
            "run": run_id, "source": request.source, "files": files, "bytes": size, **vars(total),
            "quarantined": refused, "problems": problems,
        }  # fmt: skip


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
