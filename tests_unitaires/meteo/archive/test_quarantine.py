from collections.abc import Callable
from datetime import date

import pytest

from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch, Quarantined
from meteo.archive.store import ObservationStore
from meteo.errors import Conflict, NotFound
from meteo.observation import Observations

Build = Callable[..., Observations]
DAY = date(2024, 1, 1)
WRONG = Quarantined("Sydney", DAY, "humidity_3pm: outside 0 to 100 %", ["humidity_3pm"],
                    {"humidity_3pm": 400.0, "temp_3pm": 21.5, "wind_dir_3pm": "NW"})  # fmt: skip


def refuse(store: ObservationStore, *refused: Quarantined, request: str = "a") -> int:
    run = store.ingestions.begin("file", {"request": request})
    record = FileRecord("a.csv", STORED, "file", "[]", 1)
    store.upsert(run.id, record, [Batch(Observations.empty(), "IDCJDW2124", refused)])
    store.ingestions.finish(run.id, "success", 0.1, [])
    return run.id


def test_the_same_row_refused_again_is_one_row_that_both_runs_met(store: ObservationStore) -> None:
    first, second = refuse(store, WRONG), refuse(store, WRONG, request="b")
    (row,) = store.quarantine.rows("waiting", 9)
    assert row["run_id"] == first
    assert [met["id"] for met in store.quarantine.of_run(second)] == [row["id"]]


def test_a_row_given_twice_in_one_file_is_kept_once(store: ObservationStore) -> None:
    run = refuse(store, WRONG, WRONG)
    assert len(store.quarantine.of_run(run)) == 1


def test_a_released_row_is_stored_without_the_field_at_fault(store: ObservationStore) -> None:
    refuse(store, WRONG)
    (row,) = store.quarantine.rows("waiting", 9)
    released = store.quarantine.release(row["id"], "ada")
    assert (released["state"], released["decided_by"]) == ("released", "ada")
    assert released["decided_at"].tzinfo is not None
    (items,) = store.window().items()
    assert {name: value for name, value in items.items() if value is not None} == {
        "temp_3pm": 21.5, "wind_dir_3pm": "NW",
    }  # fmt: skip
    assert store.provenance("Sydney", DAY, DAY)[DAY]["site"] == "066214"


def test_a_decision_is_taken_once(store: ObservationStore) -> None:
    refuse(store, WRONG)
    (row,) = store.quarantine.rows(None, 9)
    assert store.quarantine.discard(row["id"], "ada")["state"] == "discarded"
    with pytest.raises(Conflict, match="was discarded by ada already"):
        store.quarantine.release(row["id"], "bob")
    assert len(store.window()) == 0
    refuse(store, WRONG, request="b")
    assert store.quarantine.rows("waiting", 9) == []


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (Quarantined("Sydney", None, "date: '1/1' is not a day", ["date"], {"temp_3pm": "21"}), "cannot be stored"),
        (Quarantined("Atlantis", DAY, "station: unknown", ["station"], {"temp_3pm": "21"}), "cannot be stored"),
        (Quarantined("Sydney", DAY, "temp_3pm: no number", ["temp_3pm"], {"temp_3pm": "x"}), "holds nothing besides"),
    ],
)
def test_a_row_that_cannot_be_placed_or_is_empty_is_not_released(
    store: ObservationStore, refused: Quarantined, why: str
) -> None:
    refuse(store, refused)
    (row,) = store.quarantine.rows("waiting", 9)
    with pytest.raises(Conflict, match=why):
        store.quarantine.release(row["id"], "ada")
    assert store.quarantine.rows("waiting", 9) == [row]
    assert len(store.window()) == 0


def test_a_row_that_is_not_there_is_not_found(store: ObservationStore) -> None:
    with pytest.raises(NotFound, match="no quarantined row 7"):
        store.quarantine.discard(7, "ada")
