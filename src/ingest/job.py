"""Ingestion: source -> landing -> parser -> checks -> store, one transaction a file, and a record of the run."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import numpy as np
from sqlalchemy import RowMapping

from ingest.climate_limits import Normal
from ingest.landing import Landing
from ingest.parser import READER, Reading
from ingest.quality_control import Suspicion, check
from ingest.sources import Found, Known, Missing, NotModified, RawFile, Source
from meteo.archive.ingestions import MISSING, REFUSED, SAME, STORED, FileRecord, Run
from meteo.archive.merge import Batch, RowCounts
from meteo.archive.store import ObservationStore
from meteo.errors import MeteoError, UnreadableFile
from meteo.runtime.database import only_one


@dataclass(frozen=True)
class Request:
    """Which station-days to keep, None keeps all; `paths` are the files and folders that were named."""

    source: str
    start: date | None = None
    end: date | None = None
    stations: Sequence[str] | None = None
    paths: Sequence[str] | None = None

    @property
    def selection(self) -> str:
        return json.dumps([_iso(self.start), _iso(self.end), self.stations])

    @classmethod
    def of(cls, source: str, selection: str) -> "Request":
        start, end, stations = json.loads(selection)
        return cls(source, start and date.fromisoformat(start), end and date.fromisoformat(end), stations)

    def select(self, batch: Batch) -> Batch:
        """Of the batch what was asked for; refused rows that cannot be placed stay."""
        rows = batch.observations
        keep = np.ones(len(rows), dtype=bool)
        if self.start is not None:
            keep &= rows.day >= np.datetime64(self.start, "D")
        if self.end is not None:
            keep &= rows.day <= np.datetime64(self.end, "D")
        if self.stations is not None:
            keep &= np.isin(rows.station, list(self.stations))
        refused = [row for row in batch.quarantined if self._wants(row.station, row.day)]
        return Batch(rows[keep], batch.product, refused)

    def _wants(self, station: str, day: date | None) -> bool:
        if station and self.stations is not None and station not in self.stations:
            return False
        return day is None or ((self.start or day) <= day <= (self.end or day))


def checked(reading: Reading, request: Request, now: datetime) -> Iterator[Batch]:
    """What a file holds of the request, graded."""
    for batch in reading:
        yield check(request.select(batch), now)


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
        self._review = Suspicion(Normal())
        self._problems: list[str] = []

    def run(self, progress: Callable[[str], None]) -> dict[str, Any]:
        """Ingest; `progress` hears of each file when it is done.

        A file that cannot be had or read is a problem in the summary and the others go on; a run in which no file could
        be read fails. What was stored before a failure stays, and the next run of the same request goes on from there.
        Conflict when another ingestion is at work on this store.
        """
        request = self._request
        asked = {
            "start": _iso(request.start),
            "end": _iso(request.end),
            "stations": request.stations,
            "paths": request.paths,
        }
        with only_one(self._store.engine, "ingestion") as turn:
            self._store = ObservationStore(turn.engine)
            ingestions = self._store.ingestions
            self._landing.sweep()
            run = ingestions.begin(request.source, asked)
            began, state, read = time.monotonic(), "failed", 0
            try:
                with closing(self._source.files(run.done, self._known)) as files:
                    for found in files:
                        read += self._take(run, found)
                        progress(found.name)
                state = "success" if read or not self._problems else "failed"
            except BaseException as error:
                self._problems.append(error.detail if isinstance(error, MeteoError) else repr(error))
                raise
            finally:
                record = ingestions.finish(run.id, state, time.monotonic() - began, self._problems)
        if state == "failed":
            raise UnreadableFile("no file could be read: " + "; ".join(self._problems[:3]))
        counts = ("source", "files", "bytes", "new", "changed", "unchanged", "quarantined", "seconds", "resumes")
        return {"run": run.id, **{name: record[name] for name in counts}, "problems": self._problems}

    def _take(self, run: Run, found: Found) -> bool:
        """Whether the file was read, now or before."""
        if isinstance(found, RawFile):
            return self._read(run, found)
        if isinstance(found, Missing):
            self._problems.append(f"{found.name}: {found.reason}")
            self._store.ingestions.note(run.id, self._record(found.name, MISSING))
            return False
        if isinstance(found, NotModified):
            self._same(run, self._record(found.name, SAME))
        return True

    def _read(self, run: Run, found: RawFile) -> bool:
        request, ingestions = self._request, self._store.ingestions
        with found.open() as content:
            digest, size = self._landing.keep(content)
        if run.done.get(found.name) == digest:
            return True
        record = self._record(
            found.name,
            STORED,
            product=found.product,
            digest=digest,
            bytes=size,
            etag=found.etag,
            last_modified=found.last_modified,
        )
        last = self._last(found.name)
        if last is not None and last["digest"] == digest:
            self._same(run, replace(record, state=SAME))
            return True
        reading = Reading(partial(self._landing.open, digest), found.name, found.product)
        try:
            self._store.upsert(run.id, record, checked(reading, request, self._now()), self._review)
        except UnreadableFile as error:
            self._problems.append(error.detail)
            ingestions.note(run.id, replace(record, state=REFUSED))
            return False
        if reading.unknown:
            self._problems.append(f"{found.name}: column(s) not known and not read: {', '.join(reading.unknown)}")
        return True

    def _same(self, run: Run, record: FileRecord) -> None:
        last = self._last(record.name)
        rows = last["new"] + last["changed"] + last["unchanged"] if last else 0
        self._store.ingestions.note(run.id, record, RowCounts(unchanged=rows))

    def _known(self, name: str) -> Known | None:
        last = self._last(name)
        return None if last is None else Known(last["etag"], last["last_modified"])

    def _last(self, name: str) -> RowMapping | None:
        return self._store.ingestions.last_of(self._request.source, name, self._request.selection, READER)

    def _record(self, name: str, state: str, **known: Any) -> FileRecord:
        return FileRecord(name, state, self._request.source, self._request.selection, READER, **known)


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
