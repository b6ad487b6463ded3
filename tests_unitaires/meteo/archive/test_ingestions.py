from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from meteo.archive.ingestions import MISSING, SAME, STORED, FileRecord
from meteo.archive.merge import RowCounts
from meteo.archive.store import ObservationStore
from meteo.archive.tables import INGESTIONS
from meteo.errors import NotFound


def file(name: str, state: str = STORED, digest: str | None = "d" * 64) -> FileRecord:
    return FileRecord(name, state, "file", "[]", 1, digest=digest, bytes=5)


def test_a_run_that_broke_off_is_gone_on_with(store: ObservationStore) -> None:
    first = store.ingestions.begin("file", {"start": None})
    store.ingestions.note(first.id, file("a"), RowCounts(new=2))
    store.ingestions.note(first.id, file("b", SAME), RowCounts(unchanged=2))
    store.ingestions.note(first.id, file("c", MISSING, None))
    again = store.ingestions.begin("file", {"start": None})
    assert (again.id, again.done) == (first.id, {"a": "d" * 64, "b": "d" * 64})
    record = store.ingestions.finish(again.id, "success", 2.0, [])
    assert (record["resumes"], record["files"], record["new"], record["unchanged"]) == (1, 2, 2, 2)


def test_a_file_is_counted_once_even_if_it_is_noted_twice(store: ObservationStore) -> None:
    run = store.ingestions.begin("file", {})
    store.ingestions.note(run.id, file("a", MISSING, None))
    store.ingestions.note(run.id, file("a"))
    assert [row["state"] for row in store.ingestions.files()] == [STORED]
    assert store.ingestions.latest(1)[0]["files"] == 1


def test_another_request_or_a_finished_one_begins_anew(store: ObservationStore) -> None:
    first = store.ingestions.begin("file", {"start": None})
    second = store.ingestions.begin("file", {"start": "2024-01-01"})
    assert second.id != first.id
    assert {row["id"]: row["state"] for row in store.ingestions.latest(9)} == {first.id: "failed", second.id: "running"}
    store.ingestions.finish(second.id, "success", 0.1, [])
    assert store.ingestions.begin("file", {"start": "2024-01-01"}).id != second.id


def test_a_run_that_broke_off_long_ago_is_not_gone_on_with(store: ObservationStore) -> None:
    run = store.ingestions.begin("file", {})
    with store.engine.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(hours=13)
        connection.execute(update(INGESTIONS).values(started_at=long_ago))
    assert store.ingestions.begin("file", {}).id != run.id


def test_the_last_stored_file_of_a_name_is_known(store: ObservationStore) -> None:
    ask = ("file", "a", "[]", 1)
    run = store.ingestions.begin("file", {})
    assert store.ingestions.last_of(*ask) is None
    store.ingestions.note(run.id, file("a"))
    other = store.ingestions.begin("file", {"another": 1})
    store.ingestions.note(other.id, file("a", MISSING, None))
    found = store.ingestions.last_of(*ask)
    assert found is not None
    assert (found["run_id"], found["digest"]) == (run.id, "d" * 64)
    assert store.ingestions.last_of("bom", "a", "[]", 1) is None
    assert store.ingestions.last_of("file", "a", '["2024-01-01"]', 1) is None
    assert store.ingestions.last_of("file", "a", "[]", 2) is None
    third = store.ingestions.begin("file", {"a third": 1})
    store.ingestions.note(third.id, file("a", digest="e" * 64))
    newest = store.ingestions.last_of(*ask)
    assert newest is not None
    assert newest["digest"] == "e" * 64


def test_an_ingestion_that_never_was_is_not_found(store: ObservationStore) -> None:
    with pytest.raises(NotFound, match="no ingestion 3"):
        store.ingestions.require(3)
