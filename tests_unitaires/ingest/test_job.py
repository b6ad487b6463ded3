import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.sources import FileSource, Missing, RawFile
from meteo.errors import Unavailable, UnreadableFile
from meteo.observation import FIELDS
from meteo.store import ObservationStore

HEADER = ",".join(["Date", "Location", *(field.history for field in FIELDS)])


def history(*rows: tuple[str, str, str]) -> bytes:
    """weatherAUS rows of (day, station, rainfall); all else is missing."""
    lines = [",".join([day, place, *(rain if field.name == "rainfall" else "NA" for field in FIELDS)])
             for day, place, rain in rows]  # fmt: skip
    return "\n".join([HEADER, *lines]).encode()


class Given:
    def __init__(self, *files: RawFile | Missing | Exception) -> None:
        self._files = files
        self.total = len(files)

    def files(self) -> Iterator[RawFile | Missing]:
        for found in self._files:
            if isinstance(found, Exception):
                raise found
            yield found


GOOD = RawFile("a.csv", history(("2024-01-01", "Sydney", "0.2"), ("2024-01-02", "Perth", "3.0")))
PAGE = RawFile("b.csv", b"<html>")


def run(store: ObservationStore, tmp_path: Path, source: Given, request: Request | None = None) -> dict[str, object]:
    landing = Landing(tmp_path / "landing")
    return Ingestion(store, landing, source, request or Request("file")).run(lambda _: None)


def test_files_are_landed_stored_and_counted(store: ObservationStore, tmp_path: Path) -> None:
    summary = run(store, tmp_path, Given(GOOD, Missing("c.csv", "404"), PAGE))
    assert (summary["files"], summary["new"], summary["quarantined"]) == (1, 2, 0)
    assert summary["problems"] == [
        "c.csv: 404",
        "b.csv is a web page, not a data file; the source may be refusing programs",
    ]
    assert len(list((tmp_path / "landing").rglob("*.gz"))) == 2
    (record,) = store.runs(1)
    assert (record["state"], record["new"], record["files"]) == ("success", 2, 1)


def test_a_second_run_changes_nothing(store: ObservationStore, tmp_path: Path) -> None:
    run(store, tmp_path, Given(GOOD))
    summary = run(store, tmp_path, Given(GOOD))
    assert (summary["new"], summary["changed"], summary["unchanged"]) == (0, 0, 2)


def test_only_the_days_and_stations_asked_for_are_stored(store: ObservationStore, tmp_path: Path) -> None:
    run(store, tmp_path, Given(GOOD), Request("file", date(2024, 1, 1), date(2024, 1, 1), ["Sydney", "Perth"]))
    assert store.window().station.tolist() == ["Sydney"]
    run(store, tmp_path, Given(GOOD), Request("file", stations=["Perth"]))
    assert sorted(store.window().station.tolist()) == ["Perth", "Sydney"]


def test_a_run_that_reads_nothing_fails_and_is_recorded_as_failed(store: ObservationStore, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"no file could be read: b\.csv is a web page"):
        run(store, tmp_path, Given(PAGE))
    assert store.runs(1)[0]["state"] == "failed"


def test_what_came_before_an_outage_stays(store: ObservationStore, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        run(store, tmp_path, Given(GOOD, Unavailable("BOM is away")))
    assert len(store.window()) == 2
    assert store.runs(1)[0]["problems"] == ["BOM is away"]


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments], env={**os.environ, "METEO_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_real_month_files_import_twice_without_a_change(real_data: Path, tmp_path: Path) -> None:
    paths = sorted((real_data / "bom").glob("*.csv"))
    days = sum(1 for path in paths for line in path.read_bytes().split(b"\n") if line.startswith(b",20"))
    first = command(tmp_path, "--source", "file", "--path", str(real_data / "bom"))
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout.splitlines()[-1])
    assert (summary["new"], summary["files"], summary["quarantined"], summary["problems"]) == (days, len(paths), 0, [])
    again = json.loads(command(tmp_path, "--source", "file", "--path", str(real_data / "bom")).stdout.splitlines()[-1])
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, days)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--source", "file"], "needs --path"),
        (["--source", "fil"], "source: Input should be 'bom', 'file' or 'demo'"),
        (["--start", "2024-02-30"], "start:"),
        (["--start", "2024-02-01", "--end", "2024-01-01"], "end: must not be before start"),
        (["--stations", "Sidney"], "nearest known: Sydney"),
        (["--params", "{"], "--params is not a JSON object"),
        (["--params", '{"station": "Sydney"}'], "station: Extra inputs are not permitted"),
    ],
)
def test_wrong_arguments_are_refused_in_words(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["state"] == "failed"


def test_a_source_that_is_away_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METEO_INGEST__DEMO_URL", "http://127.0.0.1:9")
    done = command(tmp_path, "--source", "demo")
    assert done.returncode == 1
    assert "http://127.0.0.1:9 could not be reached" in done.stderr


def test_values_survive_the_way_through_the_job(store: ObservationStore, tmp_path: Path) -> None:
    run(store, tmp_path, Given(GOOD))
    np.testing.assert_array_equal(store.window().column("rainfall"), [3.0, 0.2])


def test_a_folder_of_files_is_a_source(tmp_path: Path, store: ObservationStore) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(GOOD.content)
    source = FileSource([tmp_path / "in"])
    Ingestion(store, Landing(tmp_path / "landing"), source, Request("file")).run(lambda _: None)
    assert len(store.window()) == 2
