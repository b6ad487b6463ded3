"""What the landing may lose: a replay afterwards gives the archive that it gave before."""

import io
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, update

from ingest.housekeeping import Housekeeping
from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.replay import Replay
from ingest.sources import Found, RawFile
from meteo.archive.store import ObservationStore
from meteo.archive.tables import FILES, INGESTIONS, QUARANTINE, REVISIONS, SIGHTINGS
from meteo.errors import Conflict
from meteo.observation import FIELDS
from meteo.runtime.database import connect

HEADER = ",".join(["Date", "Location", *(field.history for field in FIELDS)])
NEVER, ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def archive(database: str) -> Iterator[ObservationStore]:
    store = ObservationStore(connect(database))
    store.create()
    yield store
    store.engine.dispose()


def ingest(store: ObservationStore, folder: Path, name: str, *lines: str, source: str = "file") -> None:
    class One:
        total = 1

        def files(self, *_: object) -> Generator[Found]:
            yield RawFile(name, lambda: io.BytesIO("\n".join([HEADER, *lines]).encode()))

    Ingestion(store, Landing(folder), One(), Request(source)).run(lambda _: None)


def line(day: str, **values: str) -> str:
    return ",".join([day, "Sydney", *(values.get(field.name, "NA") for field in FIELDS)])


def clean(store: ObservationStore, folder: Path, before: datetime = NEVER) -> dict[str, int]:
    return Housekeeping(store, Landing(folder)).run(before, before)


def landed(folder: Path) -> int:
    return len(list(folder.rglob("*.gz")))


def differing(store: ObservationStore, folder: Path) -> object:
    summary = Replay(store, Landing(folder)).run(False, lambda *_: None)
    return summary["differing"], summary["not_in_files"]


def test_what_a_later_file_says_again_goes_and_what_only_the_earlier_knew_stays(
    archive: ObservationStore, tmp_path: Path
) -> None:
    for day in range(1, 6):
        known = [line(f"2024-01-0{number}", rainfall="1", temp_9am="20") for number in range(1, day + 1)]
        ingest(archive, tmp_path, "month.csv", *known)
    ingest(archive, tmp_path, "other.csv", line("2024-02-01", rainfall="1", temp_9am="20"))
    ingest(archive, tmp_path, "other.csv", line("2024-02-01", rainfall="2"))
    assert landed(tmp_path) == 7
    removed = clean(archive, tmp_path)
    assert (removed["landing"], landed(tmp_path)) == (4, 3), "the temperature is in the first file of February alone"
    assert removed["landing bytes"] > 0
    assert differing(archive, tmp_path) == (0, 0)
    assert clean(archive, tmp_path)["landing"] == 0
    ingest(archive, tmp_path, "month.csv", *known)
    assert archive.ingestions.latest(1)[0]["unchanged"] == 5, "the newest is still known"


@pytest.mark.parametrize("seed", range(6))
def test_whatever_came_in_whatever_order_a_replay_gives_the_same(
    store: ObservationStore, tmp_path: Path, seed: int
) -> None:
    dice = np.random.default_rng(seed)

    def value() -> str:
        return str(dice.choice(["1", "2", "-7", "NA"]))

    for _ in range(6):
        days = [1, *(day for day in (2, 3) if dice.uniform() < 0.8)]
        lines = [line(f"2024-01-0{day}", rainfall=value(), temp_9am=value()) for day in days]
        ingest(store, tmp_path, f"{dice.integers(2)}.csv", *lines, source=str(dice.choice(["file", "upload"])))
        for row in store.quarantine.rows("waiting", int(dice.integers(2))):
            try:
                store.quarantine.release(row["id"], "ada")
            except Conflict:
                store.quarantine.discard(row["id"], "ada")
    before = differing(store, tmp_path)
    clean(store, tmp_path)
    assert differing(store, tmp_path) == before


def test_records_that_are_too_old_go_and_what_a_replay_reads_stays(archive: ObservationStore, tmp_path: Path) -> None:
    for rainfall in ("1", "1", "-7", "-8"):
        ingest(archive, tmp_path, "a.csv", line("2024-01-01", rainfall=rainfall, temp_9am="20"))
    second, first = archive.quarantine.rows("waiting", 5)
    archive.quarantine.release(first["id"], "ada")
    ingest(archive, tmp_path, "a.csv", line("2024-01-01", rainfall="3", temp_9am="20"))
    (tmp_path / "00").mkdir(exist_ok=True)
    (tmp_path / "00" / f"{'0' * 64}.gz").write_bytes(b"left by a run that was killed")
    (tmp_path / "1.tmp").write_bytes(b"left by another")
    assert clean(archive, tmp_path)["ingestions"] == 0
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob("00/*"))
    removed = clean(archive, tmp_path, ALWAYS)
    assert removed["ingestions"] > 0
    assert (removed["quarantine"], removed["revisions"]) == (1, 1)
    assert [row["id"] for row in archive.quarantine.rows(None, 5)] == [first["id"]] != [second["id"]]
    assert differing(archive, tmp_path) == (0, 0)
    assert clean(archive, tmp_path, ALWAYS)["ingestions"] == 0
    with archive.engine.connect() as connection:
        rows = {table.name: connection.scalar(select(func.count()).select_from(table))
                for table in (FILES, INGESTIONS, REVISIONS, SIGHTINGS, QUARANTINE)}  # fmt: skip
    assert rows == {"files": 2, "ingestions": 2, "revisions": 0, "sightings": 0, "quarantine": 1}


def test_a_handed_in_file_that_was_read_long_ago_is_forgotten(archive: ObservationStore, tmp_path: Path) -> None:
    read, waiting = (archive.uploads.put(f"{name}.csv", b"x", "ada") for name in ("read", "waiting"))
    archive.uploads.read(read)
    assert clean(archive, tmp_path, datetime.now(UTC) - timedelta(days=1))["uploads"] == 0
    assert clean(archive, tmp_path, ALWAYS)["uploads"] == 1
    assert list(archive.uploads.waiting()) == [waiting]


@pytest.mark.usefixtures("logging_as_before")
def test_the_command_says_what_went(
    archive: ObservationStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ingest.__main__ import housekeeping

    ingest(archive, tmp_path / "landing", "a.csv", line("2024-01-01", rainfall="1"))
    ingest(archive, tmp_path / "landing", "a.csv", line("2024-01-01", rainfall="2"))
    with archive.engine.begin() as connection:
        connection.execute(update(REVISIONS).values(changed_at=NEVER))
    monkeypatch.setenv("METEO_HOME", str(tmp_path))
    monkeypatch.setenv("METEO_STORE__OBSERVATIONS_URL", archive.engine.url.render_as_string(hide_password=False))
    housekeeping()
    assert '"landing": 1' in capsys.readouterr().out
    metrics = (tmp_path / "metrics" / "jobs" / "ingest_housekeeping.success.prom").read_text()
    assert 'meteo_housekeeping_removed{store="revisions"} 1.0' in metrics
