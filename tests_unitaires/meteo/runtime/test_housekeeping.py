import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meteo.errors import Conflict
from meteo.runtime import housekeeping
from meteo.runtime.settings import Settings


def test_files_that_are_too_old_go_with_the_folders_they_leave_empty(tmp_path: Path) -> None:
    long_ago = time.time() - 40 * 86_400
    for name, old in (("dag/run 1/task/1.log", True), ("dag/run 2/1.log", True), ("dag/run 2/2.log", False)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("said")
        if old:
            os.utime(path, (long_ago, long_ago))
    assert housekeeping.remove_files(tmp_path, datetime.now(UTC) - timedelta(days=30)) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["2.log", "dag", "run 2"]
    assert housekeeping.remove_files(tmp_path / "none", datetime.now(UTC)) == 0


@pytest.mark.usefixtures("logging_as_before")
def test_where_another_job_is_at_work_it_waits_for_the_next_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METEO_HOME", str(tmp_path))

    def work() -> dict[str, int]:
        raise Conflict("another training is at work")

    housekeeping.run("train", Settings(), work)
    summary = json.loads(capsys.readouterr().out)
    assert (summary["state"], summary["postponed"]) == ("success", "another training is at work")
