import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


def machine(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "deploy/local/machine.py"), *arguments], capture_output=True, text=True,
        check=False, env={**os.environ, "METEO_HOME": str(home), "COLUMNS": "200", **environment},
    )  # fmt: skip


def test_down_and_status_are_harmless_where_nothing_runs(tmp_path: Path) -> None:
    assert machine(tmp_path, "down").returncode == 0
    done = machine(tmp_path, "status")
    assert done.returncode == 1
    assert done.stdout.count("stopped") == 9


def test_logs_say_when_there_are_none(tmp_path: Path) -> None:
    done = machine(tmp_path, "logs", "--service", "gateway")
    assert done.returncode == 1
    assert "no log yet of gateway" in done.stderr


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = machine(tmp_path, "up", METEO_INGEST__DEMO_URL=f"http://127.0.0.1:{port}")
        machine(tmp_path, "down")
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "METEO_INGEST__DEMO_URL" in done.stderr


def test_a_missing_history_is_said_before_anything_starts(tmp_path: Path) -> None:
    done = machine(tmp_path, "up", "--history", "nowhere.csv")
    assert done.returncode == 1
    assert "nowhere.csv does not exist" in done.stderr
    assert not (tmp_path / "run" / "supervisord.pid").exists()


@pytest.mark.parametrize("target", ["help", "status"])
def test_make_targets_reach_the_machine(tmp_path: Path, target: str) -> None:
    done = subprocess.run(["make", target], cwd=REPOSITORY, capture_output=True, text=True, check=False,
                          env={**os.environ, "METEO_HOME": str(tmp_path)})  # fmt: skip
    assert ("everything on this machine" if target == "help" else "gateway") in done.stdout
