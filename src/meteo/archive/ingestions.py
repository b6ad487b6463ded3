"""The record of every ingestion and of what became of each of its files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, bindparam, delete, insert, select, update

from meteo.archive.merge import RowCounts
from meteo.archive.tables import FILES, INGESTIONS, OBSERVATIONS
from meteo.errors import MixedSources, NotFound
from meteo.runtime.database import writing

STORED, SAME, REFUSED, MISSING, COVERED = "stored", "same", "refused", "missing", "covered"
"""What became of a file: its rows were merged; nothing new in it; not readable; not there; merged, but a later one said
it all again, so that its bytes were let go."""

RESUME_WITHIN = timedelta(hours=12)
"""A run that broke off longer ago is not gone on with: what it read may have been corrected since."""

# What is said of every file is made once: SQLAlchemy takes as long to make a statement as to execute it.
_LAST = (
    select(FILES)
    .where(FILES.c.source == bindparam("source"), FILES.c.name == bindparam("name"), FILES.c.state == STORED)
    .order_by(FILES.c.id.desc())
    .limit(1)
)
_FORGET = delete(FILES).where(FILES.c.run_id == bindparam("_run"), FILES.c.name == bindparam("_name"))
_COUNT = (
    update(INGESTIONS)
    .where(INGESTIONS.c.id == bindparam("_run"))
    .values(
        {
            name: INGESTIONS.c[name] + bindparam(f"_{name}")
            for name in ("files", "bytes", *(each.name for each in fields(RowCounts)))
        }
    )
)


@dataclass(frozen=True)
class Run:
    """An ingestion that has begun, and the files it has done already, by name, with their digest where known."""

    id: int
    done: Mapping[str, str | None]


@dataclass(frozen=True)
class FileRecord:
    """One file of a run; `selection` says what was wanted of it, `reader` which version of the parser read it."""

    name: str
    state: str
    source: str
    selection: str
    reader: int
    product: str = ""
    digest: str | None = None
    bytes: int = 0
    etag: str | None = None
    last_modified: str | None = None


class Ingestions:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, source: str, request: Mapping[str, Any]) -> Run:
        """Begin a run, or go on with the last one if it was of the same request and broke off not long ago.

        MixedSources when simulated and real observations would meet.
        """
        asked, now = json.loads(json.dumps(request)), datetime.now(UTC)
        with writing(self._engine) as connection:
            refuse_mixture(connection, source)
            last = connection.execute(select(INGESTIONS).order_by(INGESTIONS.c.id.desc()).limit(1)).mappings().first()
            if (
                last is not None
                and last["state"] != "success"
                and (last["source"], last["request"]) == (source, asked)
                and now - last["started_at"] < RESUME_WITHIN
            ):
                again = {"state": "running", "resumes": last["resumes"] + 1, "finished_at": None, "problems": []}
                connection.execute(update(INGESTIONS).where(INGESTIONS.c.id == last["id"]).values(again))
                settled = FILES.c.state.in_([STORED, SAME])
                done = connection.execute(
                    select(FILES.c.name, FILES.c.digest).where(FILES.c.run_id == last["id"], settled)
                )
                return Run(last["id"], {row[0]: row[1] for row in done})
            connection.execute(
                update(INGESTIONS).where(INGESTIONS.c.state == "running").values(state="failed", finished_at=now)
            )
            record = insert(INGESTIONS).values(
                source=source, request=asked, started_at=now, state="running", problems=[]
            )
            return Run(int(connection.execute(record).inserted_primary_key[0]), {})  # type: ignore[index]

    def note(self, run_id: int, file: FileRecord, changes: RowCounts | None = None) -> None:
        """Record a file of which no row was merged."""
        with writing(self._engine) as connection:
            note(connection, run_id, file, changes or RowCounts())

    def finish(self, run_id: int, state: str, seconds: float, problems: Sequence[str]) -> RowMapping:
        """Record how a run ended; its record."""
        ending = {"state": state, "finished_at": datetime.now(UTC), "problems": list(problems)}
        with writing(self._engine) as connection:
            this = INGESTIONS.c.id == run_id
            connection.execute(update(INGESTIONS).where(this).values(seconds=INGESTIONS.c.seconds + seconds, **ending))
            return connection.execute(select(INGESTIONS).where(this)).mappings().one()

    def latest(self, limit: int) -> Sequence[RowMapping]:
        """Runs, newest first."""
        with self._engine.connect() as connection:
            return connection.execute(select(INGESTIONS).order_by(INGESTIONS.c.id.desc()).limit(limit)).mappings().all()

    def require(self, run_id: int) -> None:
        """NotFound unless there is such a run."""
        with self._engine.connect() as connection:
            if connection.scalar(select(INGESTIONS.c.id).where(INGESTIONS.c.id == run_id)) is None:
                raise NotFound(f"there is no ingestion {run_id}")

    def last_of(self, source: str, name: str, selection: str, reader: int) -> RowMapping | None:
        """The record of the file of that name when it was last stored, if the same was wanted of it and it was read the
        same way: what has not changed since brings nothing new."""
        with self._engine.connect() as connection:
            last = connection.execute(_LAST, {"source": source, "name": name[:200]}).mappings().first()
        return last if last is not None and (last["selection"], last["reader"]) == (selection, reader) else None

    def files(self) -> Sequence[RowMapping]:
        """Every stored file, in the order in which they were merged."""
        with self._engine.connect() as connection:
            return (
                connection.execute(select(FILES).where(FILES.c.state == STORED).order_by(FILES.c.id)).mappings().all()
            )


def note(connection: Connection, run_id: int, file: FileRecord, changes: RowCounts) -> None:
    """Record what became of one file, and count it in its run; its second word replaces its first."""
    name = file.name[:200]
    connection.execute(_FORGET, {"_run": run_id, "_name": name})
    record = {**asdict(file), "name": name, "run_id": run_id, "at": datetime.now(UTC)}
    connection.execute(insert(FILES), [record | asdict(changes)])
    files, size = (1, file.bytes) if file.state in (STORED, SAME) else (0, 0)
    counts = {"files": files, "bytes": size, **asdict(changes)}
    connection.execute(_COUNT, {"_run": run_id} | {f"_{counted}": count for counted, count in counts.items()})


def refuse_mixture(connection: Connection, source: str) -> None:
    stored = connection.scalar(select(OBSERVATIONS.c.source).limit(1))
    if stored is not None and (stored == "demo") != (source == "demo"):
        raise MixedSources(
            f"the store holds observations from source {stored!r}: simulated and real ones never share a store. "
            "Use another METEO_HOME (or database) for this source."
        )
