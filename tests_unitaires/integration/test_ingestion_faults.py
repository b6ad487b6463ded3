"""What an ingestion survives: kill -9 at any moment, a full disk, another ingestion, a source that breaks off."""

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from ingest import __main__
from ingest.demo.month_file import month_file
from meteo.errors import Conflict
from meteo.observation import FIELDS, INDEX, Observations
from meteo.runtime.database import connect, only_one
from meteo.runtime.settings import Settings
from meteo.station import station

KILLS = 60
FORKER = """
import os, sys
from pathlib import Path
from ingest import __main__ as ingest
from meteo.runtime.settings import Settings
for home in sys.stdin:
    child = os.fork()
    if not child:
        sys.stdout = sys.stderr = open(os.devnull, "w")
        ingest._run(Settings(home=home.strip()), {"source": "file"}, [Path(sys.argv[1])], "{}")
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Runs ingestions in children of a process that has imported everything already: a kill hits their work."""

PLACES = ("Sydney", "Perth")


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of month files at some stations; some of them are told twice, the later telling correcting the earlier."""
    folder = tmp_path_factory.mktemp("months")
    generator = np.random.default_rng(7)
    for name in PLACES:
        place = station(name)
        for month in range(1, 13):
            first = date(2023, month, 1)
            days = np.datetime64(first, "D") + np.arange(28)
            values = np.full((len(days), len(FIELDS)), np.nan)
            for field in ("min_temp", "temp_9am", "temp_3pm", "pressure_9am", "rainfall"):
                base = 1010 if field == "pressure_9am" else 12
                values[:, INDEX[field]] = np.round(base + generator.gamma(2, 2, len(days)), 1)
            values[3, INDEX["humidity_3pm"]] = 140
            for telling in ("early", "late") if month % 3 == 0 else ("early",):
                if telling == "late":
                    values[5:9, INDEX["rainfall"]] += 1
                content = month_file(place, first, Observations(np.full(len(days), name), days, values),
                                     datetime(2024, 1, 1, tzinfo=UTC))  # fmt: skip
                path = folder / telling / f"{place.bom_product}.2023{month:02}.csv"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
    return folder


def ingest(home: Path, months: Path) -> dict[str, Any]:
    """One whole `python -m ingest --source file`, in this process."""
    return __main__._run(Settings(home=home), {"source": "file"}, [months], "{}")


def archive(home: Path) -> list[list[str]]:
    """Everything an ingestion leaves but when and by which run."""
    names = ", ".join(INDEX)
    queries = (
        f"SELECT station, day, {names}, source, product, site FROM observations ORDER BY station, day",  # noqa: S608
        "SELECT station, day, field, old, new FROM revisions ORDER BY id",
        "SELECT station, day, field, kind, detail FROM flags ORDER BY station, day, field, kind",
        "SELECT digest, file, station, day, reason, state FROM quarantine ORDER BY id",
        "SELECT name, digest, new, changed, unchanged, quarantined FROM files WHERE state = 'stored' ORDER BY id",
        "SELECT sum(new), sum(changed), max(quarantined) FROM ingestions",
    )
    engine = connect(f"sqlite:///{home / 'observations.db'}")
    with engine.connect() as connection:
        found = [[repr(row) for row in connection.execute(text(query))] for query in queries]
    engine.dispose()
    return found


def _column(home: Path, query: str) -> list[int]:
    engine = connect(f"sqlite:///{home / 'observations.db'}")
    with engine.connect() as connection:
        found = list(connection.scalars(text(query)))
    engine.dispose()
    return found


def landed(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "landing").rglob("*") if path.is_file()}


def test_kill_at_any_moment_loses_nothing(months: Path, tmp_path: Path) -> None:
    """Killed at random moments, and gone on with, a backfill ends as one that nobody disturbed."""
    began = time.monotonic()
    summary = ingest(tmp_path / "calm", months)
    duration = time.monotonic() - began
    assert (summary["files"], summary["changed"], summary["quarantined"]) == (2 * 16, 2 * 4 * 4, 2 * 16)
    expected, files = archive(tmp_path / "calm"), landed(tmp_path / "calm")

    chance = random.Random(20070101)
    kills, resumes, homes = 0, 0, 0
    command = [sys.executable, "-c", FORKER, str(months)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forker:
        assert forker.stdin
        assert forker.stdout
        while kills < KILLS:
            home = tmp_path / f"disturbed{homes}"
            homes += 1
            for _ in range(10):
                print(home, file=forker.stdin, flush=True)
                victim = int(forker.stdout.readline())
                ended, _, _ = select.select([forker.stdout], [], [], chance.uniform(0, duration))
                if not ended:
                    os.kill(victim, signal.SIGKILL)
                    kills += 1
                if int(forker.stdout.readline()) == 0:
                    break
            ingest(home, months)
            resumes += sum(_column(home, "SELECT resumes FROM ingestions"))
            assert archive(home) == expected
            assert landed(home) == files
            shutil.rmtree(home)
        forker.stdin.close()
    assert resumes > KILLS / 4, "most kills must have hit a run at work"


def test_two_at_once_one_works_and_the_other_is_told(months: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    engine = connect(f"sqlite:///{home / 'observations.db'}")
    with only_one(engine, "ingestion"), pytest.raises(Conflict, match="another ingestion is at work"):
        ingest(home, months)
    assert ingest(home, months)["files"] == 2 * 16
    engine.dispose()


def test_a_full_disk_loses_nothing_and_is_said(months: Path, tmp_path: Path) -> None:
    """On a small file system of its own, made in a mount namespace; room is made, and the run goes on."""
    script = f"""
        set -e
        mkdir -p {tmp_path}/small
        mount -t tmpfs -o size=500k tmpfs {tmp_path}/small
        export METEO_HOME={tmp_path}/small
        set +e
        {sys.executable} -m ingest --source file --path {months}; echo "ended $?"
        mount -o remount,size=60m {tmp_path}/small
        {sys.executable} -m ingest --source file --path {months}; echo "ended $?"
        cp -r {tmp_path}/small {tmp_path}/after
    """
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    done = subprocess.run([*namespace, "bash", "-c", script], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("ended")] == ["ended 1", "ended 0"], done.stderr
    first, second = (json.loads(line) for line in lines if line.startswith("{"))
    assert first["state"] == "failed"
    assert "the disk is full" in first["error"]
    assert second["state"] == "success"
    ingest(tmp_path / "calm", months)
    assert archive(tmp_path / "after") == archive(tmp_path / "calm")
    assert landed(tmp_path / "after") == landed(tmp_path / "calm")
