import io
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import update

from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.replay import Replay
from ingest.sources import Found, RawFile
from meteo.archive.store import ObservationStore
from meteo.archive.tables import OBSERVATIONS
from meteo.errors import NotFound
from meteo.observation import FIELDS

HEADER = ",".join(["Date", "Location", *(field.history for field in FIELDS)])


def line(day: str, place: str, **values: str) -> str:
    return ",".join([day, place, *(values.get(field.name, "NA") for field in FIELDS)])


def ingest(store: ObservationStore, folder: Path, name: str, *lines: str) -> None:
    class One:
        total = 1

        def files(self, *_: object) -> Generator[Found]:
            yield RawFile(name, lambda: io.BytesIO("\n".join([HEADER, *lines]).encode()))

    Ingestion(store, Landing(folder / "landing"), One(), Request("file")).run(lambda _: None)


@pytest.fixture
def archive(store: ObservationStore, tmp_path: Path) -> ObservationStore:
    """Three files, the second correcting the first, and a released row."""
    ingest(store, tmp_path, "a.csv", line("2024-01-01", "Sydney", rainfall="1", temp_9am="20"),
           line("2024-01-02", "Sydney", rainfall="-7", temp_9am="21"))  # fmt: skip
    (row,) = store.quarantine.rows("waiting", 2)
    store.quarantine.release(row["id"], "ada")
    ingest(store, tmp_path, "b.csv", line("2024-01-01", "Sydney", rainfall="2"))
    ingest(store, tmp_path, "a.csv", line("2024-01-02", "Sydney", rainfall="3"))
    return store


def replay(store: ObservationStore, folder: Path, apply: bool = False) -> dict[str, object]:
    return Replay(store, Landing(folder / "landing")).run(apply, lambda *_: None)


def test_the_landing_alone_gives_the_same_archive(archive: ObservationStore, tmp_path: Path) -> None:
    before = archive.window()
    assert before.column("rainfall").tolist() == [2, 3]
    assert before.column("temp_9am").tolist() == [20, 21]
    summary = replay(archive, tmp_path, apply=True)
    assert summary == {"files": 3, "rows": 2, "differing": 0, "not_in_files": 0, "applied": False}


def test_what_differs_is_said_and_set_right_on_request(archive: ObservationStore, tmp_path: Path) -> None:
    with archive.engine.begin() as connection:
        connection.execute(update(OBSERVATIONS).where(OBSERVATIONS.c.rainfall == 2).values(rainfall=9, sunshine=1))
    assert replay(archive, tmp_path)["differing"] == 1
    assert archive.window().column("rainfall").tolist() == [9, 3]
    summary = replay(archive, tmp_path, apply=True)
    assert (summary["differing"], summary["applied"]) == (1, True)
    assert archive.window().column("rainfall").tolist() == [2, 3]
    revisions = archive.revisions("Sydney", archive.window().day[0].item())
    assert [(r["field"], r["old"], r["new"]) for r in revisions[-2:]] == [
        ("rainfall", "9", "2"),
        ("sunshine", "1", None),
    ]
    assert replay(archive, tmp_path)["differing"] == 0


def test_a_lost_file_is_named(archive: ObservationStore, tmp_path: Path) -> None:
    for path in (tmp_path / "landing").rglob("*.gz"):
        path.unlink()
    with pytest.raises(NotFound, match=r"the landing has lost a\.csv of run 1"):
        replay(archive, tmp_path)
