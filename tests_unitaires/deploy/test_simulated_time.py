"""A program and what it starts live by a clock that it moves, and wait as long as ever."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LOCAL = Path(__file__).resolve().parents[2] / "deploy" / "local"
PROGRAM = """
import json, queue, sqlite3, subprocess, sys, threading, time
from datetime import UTC, datetime
from simulated_time import Clock
import onnxruntime  # has a thread that waits until an instant of the calendar's clock
clock, seen = Clock(), []
for day in (datetime(2016, 2, 3, 4, 5, tzinfo=UTC), datetime(2031, 2, 3, 4, 5, tzinfo=UTC)):
    clock.move(day)
    child = subprocess.run([sys.executable, "-c", "import datetime; print(datetime.date.today())"], capture_output=True)
    here = sqlite3.connect(":memory:").execute("SELECT date()").fetchone()[0]
    seen.append([str(datetime.now(UTC).date()), here, child.stdout.decode().strip()])
began, used = time.monotonic(), time.process_time()
time.sleep(0.2)
try:
    queue.Queue().get(timeout=0.2)
except queue.Empty:
    threading.Event().wait(0.2)
waited, used = time.monotonic() - began, time.process_time() - used
clock.remove()
print(json.dumps({"days": seen, "waited": waited, "used": used}))
"""


@pytest.fixture
def run(tmp_path: Path, lack: Callable[[str], None]) -> Callable[..., subprocess.CompletedProcess[str]]:
    if not shutil.which("cc"):
        lack("a C compiler (Debian's gcc and libc6-dev)")
    program = tmp_path / "program.py"
    program.write_text(f"import sys\nsys.path.insert(0, {str(LOCAL)!r})\n{PROGRAM}")

    def start(*before: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *before, str(program)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return start


def test_everybody_lives_on_the_day_it_is_moved_to_and_waits_as_ever(
    run: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run(str(LOCAL / "simulated_time.py"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["days"] == [["2016-02-03"] * 3, ["2031-02-03"] * 3]
    assert 0.6 <= found["waited"] < 5
    assert found["used"] < 0.3, "nothing waits by spinning"


def test_a_program_without_such_a_clock_says_what_to_do(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run()
    assert done.returncode == 1
    assert "simulated_time.py PROGRAM.py" in done.stderr
