"""Reading every landed file again, in the order they came, and comparing with what is stored."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from ingest.climate_limits import Normal
from ingest.job import Request, checked
from ingest.landing import Landing
from ingest.parser import READER, Reading
from ingest.quality_control import Suspicion
from meteo.archive.ingestions import FileRecord
from meteo.archive.merge import Batch
from meteo.archive.quarantine import restore
from meteo.archive.store import ObservationStore
from meteo.archive.tables import OBSERVATIONS, QUARANTINE
from meteo.errors import NotFound
from meteo.observation import NAMES
from meteo.runtime.database import connect, only_one, writing


class Replay:
    """The archive rebuilt beside the real one, from the landing alone, as the present parser and checks read it."""

    def __init__(self, store: ObservationStore, landing: Landing) -> None:
        self._store = store
        self._landing = landing

    def run(self, apply: bool, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
        """Compare, and with `apply` make the stored rows what the files say, leaving revisions.

        Rows released from quarantine are released again. NotFound names a file that the landing has lost.
        """
        with only_one(self._store.engine, "ingestion") as turn, tempfile.TemporaryDirectory() as folder:
            self._store = ObservationStore(turn.engine)
            anew = ObservationStore(connect(f"sqlite:///{Path(folder) / 'replay.db'}"))
            anew.create()
            files = self._rebuild(anew, progress)
            ours, theirs = _rows(anew), _rows(self._store)
            differing = [key for key, row in ours.items() if theirs.get(key) != row]
            extra = len(theirs.keys() - ours.keys())
            summary = {"files": files, "rows": len(ours), "differing": len(differing), "not_in_files": extra}
            if apply and differing:
                summary["run"] = self._apply(anew, differing, ours)
            anew.engine.dispose()
            return {**summary, "applied": bool(apply and differing)}

    def _rebuild(self, anew: ObservationStore, progress: Callable[[str, int, int], None]) -> int:
        files = self._store.ingestions.files()
        with self._store.engine.connect() as connection:
            released = connection.execute(select(QUARANTINE).where(QUARANTINE.c.state == "released")).mappings().all()
        events: list[tuple[datetime, Any]] = sorted(
            [*((file["at"], file) for file in files), *((row["decided_at"], row) for row in released)],
            key=lambda event: event[0],
        )
        review, runs, number = Suspicion(Normal()), dict[int, int](), 0
        for at, what in events:
            if "decided_at" in what:
                with writing(anew.engine) as connection:
                    restore(connection, what)
                continue
            if not self._landing.holds(what["digest"]):
                raise NotFound(f"the landing has lost {what['name']} of run {what['run_id']} ({what['digest']})")
            if what["run_id"] not in runs:
                runs[what["run_id"]] = anew.ingestions.begin(what["source"], {"run": what["run_id"]}).id
            reading = Reading(partial(self._landing.open, what["digest"]), what["name"], what["product"])
            record = FileRecord(
                what["name"], "stored", what["source"], what["selection"], READER, digest=what["digest"]
            )
            batches = checked(reading, Request.of(what["source"], what["selection"]), at)
            anew.upsert(runs[what["run_id"]], record, batches, review)
            number += 1
            progress(what["name"], number, len(files))
        return len(files)

    def _apply(self, anew: ObservationStore, differing: list[Any], rows: dict[Any, Any]) -> int:
        window = anew.window()
        place = {key: row for row, key in enumerate(zip(window.station.tolist(), window.day.tolist(), strict=True))}
        by_origin: dict[tuple[str, str], list[int]] = {}
        for key in differing:
            by_origin.setdefault(rows[key][:2], []).append(place[key])
        began = datetime.now(UTC)
        run = self._store.ingestions.begin(next(iter(by_origin))[0], {"replay": began.isoformat()})
        for (source, product), members in by_origin.items():
            record = FileRecord(f"replay of {product} from {source}", "replayed", source, "[]", READER)
            batch = Batch(window[np.array(sorted(members))], product)
            self._store.upsert(run.id, record, [batch], Suspicion(Normal()), replace=True)
        self._store.ingestions.finish(run.id, "success", (datetime.now(UTC) - began).total_seconds(), [])
        return run.id


def _rows(store: ObservationStore) -> dict[Any, Any]:
    """Every stored row by station and day: source, product, site and the fields."""
    given = ("source", "product", "site")
    fields = [OBSERVATIONS.c[name] for name in (*given, *NAMES)]
    query = select(OBSERVATIONS.c.station, OBSERVATIONS.c.day, *fields)
    with store.engine.connect() as connection:
        return {(row[0], row[1]): tuple(row[2:]) for row in connection.execute(query)}
