import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Container, Generator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.sources import FileSource, Found, Known, Missing, NotModified, RawFile, UploadSource
from meteo.archive.store import ObservationStore
from meteo.errors import InvalidInput, MixedSources, Unavailable, UnreadableFile
from meteo.observation import FIELDS
from meteo.runtime.database import connect

HEADER = ",".join(["Date", "Location", *(field.history for field in FIELDS)])


def history(*rows: tuple[str, str, str]) -> bytes:
    """weatherAUS rows of (day, station, rainfall); all else is missing."""
    lines = [",".join([day, place, *(rain if field.name == "rainfall" else "NA" for field in FIELDS)])
             for day, place, rain in rows]  # fmt: skip
    return "\n".join([HEADER, *lines]).encode()


def raw(name: str, content: bytes, **known: str) -> RawFile:
    return RawFile(name, lambda: io.BytesIO(content), **known)


class Given:
    def __init__(self, *files: Found | Exception) -> None:
        self._files = files
        self.total = len(files)

    def files(self, done: Container[str], known: Callable[[str], Known | None]) -> Generator[Found]:
        for found in self._files:
            if isinstance(found, Exception):
                raise found
            yield found


GOOD = raw("a.csv", history(("2024-01-01", "Sydney", "0.2"), ("2024-01-02", "Perth", "3.0")))
PAGE = raw("b.csv", b"<html>")


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
    (record,) = store.ingestions.latest(1)
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
    assert store.ingestions.latest(1)[0]["state"] == "failed"


def test_what_came_before_an_outage_stays(store: ObservationStore, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        run(store, tmp_path, Given(GOOD, Unavailable("BOM is away")))
    assert len(store.window()) == 2
    assert store.ingestions.latest(1)[0]["problems"] == ["BOM is away"]


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
        (["--source", "fil"], "source: Input should be 'bom', 'file', 'demo' or 'upload'"),
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
    monkeypatch.setenv("METEO_INGEST__BACKOFF_SECONDS", "0")
    done = command(tmp_path, "--source", "demo")
    assert done.returncode == 1
    assert "http://127.0.0.1:9 could not be reached" in done.stderr


def test_values_survive_the_way_through_the_job(store: ObservationStore, tmp_path: Path) -> None:
    run(store, tmp_path, Given(GOOD))
    np.testing.assert_array_equal(store.window().column("rainfall"), [3.0, 0.2])


def test_a_folder_of_files_is_a_source(tmp_path: Path, store: ObservationStore) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(GOOD.open().read())
    source = FileSource([tmp_path / "in"])
    Ingestion(store, Landing(tmp_path / "landing"), source, Request("file")).run(lambda _: None)
    assert len(store.window()) == 2


def test_a_file_that_has_not_changed_brings_nothing_new(store: ObservationStore, tmp_path: Path) -> None:
    """Not even if it tells an older story than another file: the later correction stands."""
    correction = raw("b.csv", history(("2024-01-01", "Sydney", "0.4")))
    run(store, tmp_path, Given(GOOD, correction))
    again = run(store, tmp_path, Given(GOOD, correction))
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 3)
    assert store.window().column("rainfall").tolist() == [3.0, 0.4]
    assert [row["name"] for row in store.ingestions.files()] == ["a.csv", "b.csv"]


def test_a_source_that_takes_its_correction_back_is_followed(store: ObservationStore, tmp_path: Path) -> None:
    for rain in ("1", "2", "1"):
        run(store, tmp_path, Given(raw("a.csv", history(("2024-01-01", "Sydney", rain)))))
    assert store.window().column("rainfall").tolist() == [1]
    assert [row["new"] for row in store.revisions("Sydney", date(2024, 1, 1))] == ["2", "1"]


def test_what_the_source_says_is_unchanged_counts_as_unchanged(store: ObservationStore, tmp_path: Path) -> None:
    asked: list[Known | None] = []

    class Polite(Given):
        def files(self, done: Container[str], known: Callable[[str], Known | None]) -> Generator[Found]:
            asked.append(known("a.csv"))
            yield from super().files(done, known)

    file = raw("a.csv", GOOD.open().read(), etag='"x"', last_modified="Monday")
    run(store, tmp_path, Polite(file))
    summary = run(store, tmp_path, Polite(NotModified("a.csv")))
    assert (summary["files"], summary["unchanged"]) == (1, 2)
    run(store, tmp_path, Polite(file), Request("file", stations=["Sydney"]))
    assert asked == [None, Known('"x"', "Monday"), None]


def test_a_run_that_broke_off_goes_on_where_it_stopped(store: ObservationStore, tmp_path: Path) -> None:
    other = raw("c.csv", history(("2024-01-03", "Sydney", "1.2")))
    with pytest.raises(Unavailable):
        run(store, tmp_path, Given(GOOD, Unavailable("BOM is away")))
    summary = run(store, tmp_path, Given(GOOD, other))
    assert (summary["run"], summary["resumes"], summary["files"], summary["new"]) == (1, 1, 2, 3)
    assert summary["problems"] == []


def test_unknown_columns_are_said_and_the_rest_is_stored(store: ObservationStore, tmp_path: Path) -> None:
    lines = GOOD.open().read().decode().split("\n")
    wider = "\n".join([f"{lines[0]},SoilMoisture", *(f"{line},7" for line in lines[1:])]).encode()
    summary = run(store, tmp_path, Given(raw("a.csv", wider)))
    assert summary["new"] == 2
    assert summary["problems"] == ["a.csv: column(s) not known and not read: SoilMoisture"]


def test_refused_rows_are_in_quarantine_and_the_others_stored(store: ObservationStore, tmp_path: Path) -> None:
    content = history(("2024-01-01", "Sydney", "-5"), ("2024-01-02", "Sydney", "x"), ("2024-01-03", "Sydney", "3"))
    summary = run(store, tmp_path, Given(raw("a.csv", content)))
    assert (summary["new"], summary["quarantined"]) == (1, 2)
    reasons = {row["day"].day: row["reason"] for row in store.quarantine.of_run(1)}
    assert reasons == {1: "rainfall: outside 0 to 1200 mm", 2: "rainfall: 'x' is not a number"}


def test_suspect_values_are_stored_and_flagged(store: ObservationStore, tmp_path: Path) -> None:
    run(store, tmp_path, Given(raw("a.csv", history(("2024-01-01", "Sydney", "800")))))
    assert store.window().column("rainfall").tolist() == [800]
    assert [(flag.field, flag.kind) for flag in store.flags("Sydney", None, None)] == [("rainfall", "range")]


def handed_in(store: ObservationStore, tmp_path: Path) -> dict[str, object]:
    source = UploadSource(store.uploads)
    return Ingestion(store, Landing(tmp_path / "landing"), source, Request("upload")).run(lambda _: None)


def test_files_handed_in_are_read_once_good_or_bad(store: ObservationStore, tmp_path: Path, real_data: Path) -> None:
    month = real_data / "bom" / "IDCJDW2124.202305.csv"
    store.uploads.put(month.name, month.read_bytes(), "root")
    store.uploads.put("page.csv", b"<html>", "root")
    summary = handed_in(store, tmp_path)
    assert (summary["source"], summary["new"], summary["quarantined"]) == ("upload", 31, 0)
    assert summary["problems"] == ["page.csv is a web page, not a data file; the source may be refusing programs"]
    rows = store.window(date(2023, 5, 1), date(2023, 5, 31), ["Sydney"])
    assert len(rows) == 31
    assert store.uploads.waiting() == []
    with pytest.raises(InvalidInput, match="no file waits"):
        handed_in(store, tmp_path)


def test_a_run_that_breaks_off_leaves_what_it_has_not_read_waiting(store: ObservationStore, tmp_path: Path) -> None:
    for name, content in (("a.csv", history(("2024-01-01", "Sydney", "0.2"))),
                          ("b.csv", history(("2024-01-02", "Sydney", "0.2")))):  # fmt: skip
        store.uploads.put(name, content, "root")

    def killed(name: str) -> None:
        if name == "a.csv":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Ingestion(store, Landing(tmp_path / "landing"), UploadSource(store.uploads), Request("upload")).run(killed)
    assert [each.name for each in store.uploads.waiting()] == ["a.csv", "b.csv"]
    handed_in(store, tmp_path)
    assert store.window(stations=["Sydney"]).day.astype(str).tolist() == ["2024-01-01", "2024-01-02"]


def test_real_files_are_not_mixed_into_simulated_weather(store: ObservationStore, tmp_path: Path) -> None:
    store.uploads.put("early.csv", history(("2024-01-01", "Sydney", "0.2")), "root")
    run(store, tmp_path, Given(GOOD), Request("demo"))
    with pytest.raises(MixedSources):
        store.uploads.put("late.csv", history(("2024-01-01", "Sydney", "0.2")), "root")
    with pytest.raises(MixedSources):
        handed_in(store, tmp_path)
    assert [each.name for each in store.uploads.waiting()] == ["early.csv"]


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        (b"0.2", b"0.\x002"),
        (b"0.2", b"\x1b[31m0.2"),
        (b"0.2", b"0.2\xff"),
        (b"Sydney", b"Syd\x00ney"),
        (b"Sydney", b"\x00"),
        (b"2024-01-01", b"2024-01-\x0001"),
        (b"Rainfall", b"Rain\x00fall"),
        (b"NA", b"\x00"),
    ],
)
def test_a_file_of_control_characters_ends_no_ingestion(
    database: str, tmp_path: Path, whole: bytes, damaged: bytes
) -> None:
    store = ObservationStore(connect(database))
    store.create()
    store.uploads.put("damaged.csv", history(("2024-01-01", "Sydney", "0.2")).replace(whole, damaged), "root")
    store.uploads.put("good.csv", history(("2024-01-02", "Perth", "0.2")), "root")
    handed_in(store, tmp_path)
    assert store.window(stations=["Perth"]).column("rainfall").tolist() == [0.2]
    assert store.uploads.waiting() == []
    store.engine.dispose()


@pytest.mark.parametrize("content", [b"", b"x" * 1_000_001])
def test_an_upload_of_no_or_too_many_bytes_is_refused(store: ObservationStore, content: bytes) -> None:
    with pytest.raises(InvalidInput, match="1 to 1,000,000"):
        store.uploads.put("a.csv", content, "root")
    assert store.uploads.waiting() == []
