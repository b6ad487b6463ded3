"""A month on a clock of its own, with retentions that end within it: what `make year` does, on fewer stations."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DAYS = 30
STATIONS = 10
SHORT = {
    "PREDICTIONS_DAYS": "7", "FORECAST_SUMS_DAYS": "12", "AUDIT_DAYS": "7", "INGESTIONS_DAYS": "7",
    "REVISIONS_DAYS": "7", "CHAMPIONS": "2", "CHALLENGERS": "1", "MONITORING_RUNS": "7",
}  # fmt: skip
KEPT = (
    "predictions.db: rows of predictions", "predictions.db: rows of daily_forecasts", "gateway.db: rows of audit",
    "gateway.db: rows of sessions", "observations.db: rows of files", "observations.db: rows of ingestions",
    "observations.db: rows of revisions", "mlflow.db: rows of monitoring runs",
)  # fmt: skip
"""What does not grow any more once the month is half over."""


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder of a short name: the path of a socket has about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="year-") as folder:
        yield Path(folder)


@pytest.fixture
def start(tmp_path: Path, temporary: Path, lack: Callable[[str], None]) -> Callable[..., subprocess.Popen[str]]:
    """Begins a month in `tmp_path / "home"`."""
    if not shutil.which("cc"):
        lack("a C compiler (Debian's gcc and libc6-dev)")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("METEO_", "COVERAGE_"))}
    environment |= {f"METEO_RETENTION__{name}": value for name, value in SHORT.items()}
    environment |= {"METEO_MONITORING__PAGE_DAYS": str(DAYS), "TMPDIR": str(temporary)}

    def begin(*options: str) -> subprocess.Popen[str]:
        programs = [str(REPOSITORY / "deploy/local" / name) for name in ("simulated_time.py", "year.py")]
        paths = ["--home", str(tmp_path / "home"), "--report", str(tmp_path / "year.json")]
        command = [
            sys.executable,
            *programs,
            "--days",
            str(DAYS),
            "--stations",
            str(STATIONS),
            "--predictions",
            "60",
            *paths,
        ]
        return subprocess.Popen([*command, *options], env=environment, stderr=subprocess.PIPE, text=True)

    return begin


def test_each_store_with_a_retention_stops_growing(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    month = start("--train-every", "7")
    _, said = month.communicate()
    assert month.returncode == 0, said[-3000:]
    report = json.loads((tmp_path / "year.json").read_text(encoding="utf-8"))
    assert (report["days"], report["broken"]) == (DAYS, {})
    figures: dict[int, dict[str, Any]] = {int(day): held for day, held in report["figures"].items()}
    for figure in KEPT:
        middle, last = figures[14][figure], figures[DAYS][figure]
        assert 0 < last <= 1.25 * middle + 3, figure
    assert figures[DAYS]["mlflow.db: rows of model versions"] <= 5
    first, newest = (figures[day]["observations.db: rows of observations"] for day in (0, DAYS))
    assert newest - first == STATIONS * DAYS
    assert report["promoted"] > 0
    assert left_of(tmp_path) == []


def test_a_year_that_is_told_to_end_leaves_nothing_running(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, temporary: Path, eventually: Callable[..., None]
) -> None:
    month = start()
    eventually(lambda: (tmp_path / "home" / "observations.db").exists() or month.poll() is not None, 120)
    month.send_signal(signal.SIGTERM)
    month.communicate(timeout=60)
    assert month.returncode == 128 + signal.SIGTERM
    assert left_of(tmp_path) == []
    assert list(temporary.iterdir()) == []


def left_of(folder: Path) -> list[str]:
    """The processes that live below a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("METEO_HOME", "").startswith(str(folder)):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
