"""What the landing and the ingestions' record may lose without a replay giving another archive."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, partial

import numpy as np
from sqlalchemy import RowMapping, delete, select, update

from ingest.job import Request, checked
from ingest.landing import Landing
from ingest.parser import Reading
from meteo.archive.ingestions import COVERED, STORED
from meteo.archive.store import ObservationStore
from meteo.archive.tables import FILES, INGESTIONS, QUARANTINE, REVISIONS, SIGHTINGS, UPLOADS
from meteo.observation import Floats
from meteo.runtime.database import only_one, writing
from meteo.station import by_product

Rows = dict[tuple[str, date], Floats]
"""The values of each station-day of a file."""


@dataclass(frozen=True)
class _Event:
    """A file that was merged, or a row that was released."""

    at: datetime
    origin: tuple[str, str]
    read: Callable[[], Collection[tuple[str, date]]]

    @cached_property
    def days(self) -> frozenset[tuple[str, date]]:
        """Its station-days."""
        return frozenset(self.read())


class Housekeeping:
    """Of one archive; Conflict while an ingestion is at work on it."""

    def __init__(self, store: ObservationStore, landing: Landing) -> None:
        self._store = store
        self._landing = landing

    def run(self, ingestions_before: datetime, revisions_before: datetime) -> dict[str, int]:
        """Remove what is superseded or too old; how much of each."""
        with only_one(self._store.engine, "ingestion") as turn:
            self._store = ObservationStore(turn.engine)
            self._landing.sweep()
            covered = [file["id"] for file in self._covered()]
            removed = self._forget(covered, ingestions_before, revisions_before)
            with self._store.engine.connect() as connection:
                needed = set(connection.scalars(select(FILES.c.digest).where(FILES.c.digest.is_not(None)).distinct()))
            with turn.kept():
                files, size = self._landing.keep_only(needed)
        return {**removed, "landing": files, "landing bytes": size}

    def _covered(self) -> Iterator[RowMapping]:
        """Stored files of which a later one of the same name says all that they said, so that a replay without them
        ends the same. Not where one of their days had come from elsewhere too by then: the order tells whose it is."""
        files = self._store.ingestions.files()
        with self._store.engine.connect() as connection:
            released = connection.execute(select(QUARANTINE).where(QUARANTINE.c.state == "released")).mappings().all()
        events = [
            *(_Event(file["at"], _origin(file, file["name"]), partial(self._rows, file)) for file in files),
            *(_Event(row["decided_at"], _origin(row, row["file"]), partial(_place, row)) for row in released),
        ]
        by_name: dict[tuple[str, ...], list[RowMapping]] = {}
        for file in files:
            by_name.setdefault((file["source"], file["name"], file["product"]), []).append(file)
        for *earlier, newest in by_name.values():
            if earlier:
                origin = _origin(newest, newest["name"])
                others = [event for event in events if event.at < newest["at"] and _may_meet(origin, event.origin)]
                yield from self._covered_by(newest, earlier, others)

    def _covered_by(
        self, newest: RowMapping, earlier: Sequence[RowMapping], others: Sequence["_Event"]
    ) -> Iterator[RowMapping]:
        latest = self._rows(newest)
        for file in earlier:
            rows = self._rows(file)
            if _covers(latest, rows) and all(rows.keys().isdisjoint(event.days) for event in others):
                yield file

    def _rows(self, file: RowMapping) -> Rows:
        reading = Reading(partial(self._landing.open, file["digest"]), file["name"], file["product"])
        return {
            (station, day): values
            for batch in checked(reading, Request.of(file["source"], file["selection"]), file["at"])
            for station, day, values in zip(
                batch.observations.station.tolist(),
                batch.observations.day.tolist(),
                batch.observations.values,
                strict=True,
            )
        }

    def _forget(
        self, covered: Sequence[int], ingestions_before: datetime, revisions_before: datetime
    ) -> dict[str, int]:
        gone = {}
        with writing(self._store.engine) as connection:
            for start in range(0, len(covered), 500):
                some = FILES.c.id.in_(covered[start : start + 500])
                connection.execute(update(FILES).where(some).values(state=COVERED, digest=None))
            old_file = (FILES.c.state != STORED) & (FILES.c.at < ingestions_before)
            gone["files of runs"] = connection.execute(delete(FILES).where(old_file)).rowcount
            in_use = select(FILES.c.run_id)
            old_run = (INGESTIONS.c.started_at < ingestions_before) & INGESTIONS.c.id.not_in(in_use)
            old_runs = select(INGESTIONS.c.id).where(old_run)
            connection.execute(delete(SIGHTINGS).where(SIGHTINGS.c.run_id.in_(old_runs)))
            gone["ingestions"] = connection.execute(delete(INGESTIONS).where(old_run)).rowcount
            unseen = QUARANTINE.c.id.not_in(select(SIGHTINGS.c.quarantine_id))
            undone = QUARANTINE.c.state != "released"
            gone["quarantine"] = connection.execute(delete(QUARANTINE).where(unseen, undone)).rowcount
            read = UPLOADS.c.read_at < ingestions_before
            gone["uploads"] = connection.execute(delete(UPLOADS).where(read)).rowcount
            old = REVISIONS.c.changed_at < revisions_before
            gone["revisions"] = connection.execute(delete(REVISIONS).where(old)).rowcount
        return gone


def _origin(event: RowMapping, name: str) -> tuple[str, str]:
    return event["source"], event["product"] or name


def _place(released: RowMapping) -> Rows:
    return {(released["station"], released["day"]): np.empty(0)}


def _may_meet(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two origins differ and may hold the same station-days."""
    if one == other:
        return False
    places = [by_product().get(product) for _, product in (one, other)]
    return None in places or places[0] == places[1]


def _covers(latest: Rows, earlier: Rows) -> bool:
    return all(key in latest and not np.any(np.isnan(latest[key]) & ~np.isnan(row)) for key, row in earlier.items())
