"""Refused rows: kept with the reason until an admin releases or discards them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

import numpy as np
from sqlalchemy import Connection, Engine, RowMapping, func, insert, select, update

from meteo.archive.merge import Batch, Quarantined, RowCounts, merge
from meteo.archive.tables import QUARANTINE, SIGHTINGS
from meteo.errors import Conflict, NotFound
from meteo.observation import BY_NAME, FIELDS, Observations
from meteo.runtime.database import writing
from meteo.station import stations

State = Literal["waiting", "released", "discarded"]


def put_aside(
    connection: Connection, refused: Iterable[Quarantined], run_id: int, source: str, product: str, file: str
) -> None:
    """Keep refused rows; one that is known already, decided on or not, is only noted as seen again."""
    rows = {row["digest"]: row for row in (_record(each, run_id, source, product, file) for each in refused)}
    if not rows:
        return
    ids = _ids(connection, list(rows))
    if fresh := [row for digest, row in rows.items() if digest not in ids]:
        connection.execute(insert(QUARANTINE), fresh)
        ids |= _ids(connection, [row["digest"] for row in fresh])
    seen = set(connection.scalars(select(SIGHTINGS.c.quarantine_id).where(SIGHTINGS.c.run_id == run_id)))
    if sightings := [{"run_id": run_id, "quarantine_id": known} for known in set(ids.values()) - seen]:
        connection.execute(insert(SIGHTINGS), sightings)


class Quarantine:
    """What is set aside in one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_run(self, run_id: int) -> Sequence[RowMapping]:
        """The refused rows that one ingestion met."""
        met = select(SIGHTINGS.c.quarantine_id).where(SIGHTINGS.c.run_id == run_id)
        return self._rows(QUARANTINE.c.id.in_(met), None)

    def rows(self, state: State | None, limit: int) -> Sequence[RowMapping]:
        """Refused rows in `state`, newest first."""
        return self._rows(QUARANTINE.c.state == state if state else QUARANTINE.c.id > 0, limit)

    def counts(self) -> dict[str, int]:
        """How many rows are in each state."""
        query = select(QUARANTINE.c.state, func.count()).group_by(QUARANTINE.c.state)
        with self._engine.connect() as connection:
            counted = {row[0]: row[1] for row in connection.execute(query)}
        return {state: counted.get(state, 0) for state in get_args(State)}

    def discard(self, row_id: int, by: str) -> RowMapping:
        """Decide that a row is worth nothing; it stays on record."""
        with writing(self._engine) as connection:
            _waiting(connection, row_id)
            return _decide(connection, row_id, "discarded", by)

    def release(self, row_id: int, by: str) -> RowMapping:
        """Store a row without the fields at fault; what is stored already stands where the row has a blank.

        Conflict when the row cannot be placed (no readable date, no known station, another site) or holds nothing else.
        """
        with writing(self._engine) as connection:
            row = _waiting(connection, row_id)
            restore(connection, row)
            return _decide(connection, row_id, "released", by)

    def _rows(self, which: Any, limit: int | None) -> Sequence[RowMapping]:
        query = select(QUARANTINE).where(which).order_by(QUARANTINE.c.id.desc()).limit(limit)
        with self._engine.connect() as connection:
            return connection.execute(query).mappings().all()


def restore(connection: Connection, row: RowMapping) -> RowCounts:
    """Merge a released row, without the fields at fault, into the observations."""
    at_fault = set(row["fields"])
    if at_fault & {"date", "station"} or row["day"] is None or row["station"] not in stations():
        raise Conflict(f"row {row['id']} cannot be stored: {row['reason']}")
    values = np.array([[_value(row["row"].get(field.name), field.name in at_fault, field.name) for field in FIELDS]])
    if np.isnan(values).all():
        raise Conflict(f"row {row['id']} holds nothing besides what was refused: {row['reason']}")
    observation = Observations(np.array([row["station"]]), np.array([row["day"]], "datetime64[D]"), values)
    merged = merge(connection, Batch(observation, row["product"]), row["run_id"], row["source"])
    if merged.refused:
        raise Conflict(f"row {row['id']} cannot be stored: {merged.refused[0].reason}")
    return merged.changes


def _value(cell: float | str | None, at_fault: bool, name: str) -> float:
    return float("nan") if at_fault or cell is None else BY_NAME[name].read(str(cell))


def _waiting(connection: Connection, row_id: int) -> RowMapping:
    row = connection.execute(select(QUARANTINE).where(QUARANTINE.c.id == row_id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no quarantined row {row_id}")
    if row["state"] != "waiting":
        raise Conflict(f"row {row_id} was {row['state']} by {row['decided_by']} already")
    return row


def _decide(connection: Connection, row_id: int, state: State, by: str) -> RowMapping:
    decision = {"state": state, "decided_by": by, "decided_at": datetime.now(UTC)}
    connection.execute(update(QUARANTINE).where(QUARANTINE.c.id == row_id).values(decision))
    return connection.execute(select(QUARANTINE).where(QUARANTINE.c.id == row_id)).mappings().one()


def _ids(connection: Connection, digests: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(digests), 500):
        part = QUARANTINE.c.digest.in_(digests[start : start + 500])
        found |= {
            row[0]: row[1] for row in connection.execute(select(QUARANTINE.c.digest, QUARANTINE.c.id).where(part))
        }
    return found


def _record(refused: Quarantined, run_id: int, source: str, product: str, file: str) -> dict[str, Any]:
    row = dict(refused.row)
    place = stations().get(refused.station)
    identity = json.dumps([product, refused.station, _iso(refused.day), refused.reason, row], sort_keys=True)
    return {
        "digest": hashlib.sha256(identity.encode()).hexdigest(),
        "run_id": run_id,
        "source": source,
        "product": product,
        "site": place.site_of(product) if place else "",
        "file": file[:200],
        "station": refused.station[:32],
        "day": refused.day,
        "reason": refused.reason[:400],
        "fields": list(refused.fields),
        "row": row,
        "state": "waiting",
    }


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
