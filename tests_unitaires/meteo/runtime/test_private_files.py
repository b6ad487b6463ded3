"""Real processes of each kind, started with the umask that most accounts have."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meteo.runtime.private_files import tighten

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("job", [["ingest", "--source", "file"], ["gateway", "users", "list"], ["train", "promote"]])
def test_what_a_job_writes_is_its_accounts_alone(tmp_path: Path, job: list[str]) -> None:
    home = tmp_path / "home"
    environment = {**os.environ, "METEO_HOME": str(home), "METEO_MLFLOW__PORT": "9"}
    subprocess.run([sys.executable, "-m", *job], env=environment, umask=0o022, capture_output=True, check=False,
                   cwd=REPOSITORY)  # fmt: skip
    written = list(home.rglob("*"))
    assert [path for path in written if path.is_file()]
    for path in [home, *written]:
        assert not path.stat().st_mode & 0o077, path


def test_tightening_takes_from_group_and_others_only(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o755)
    tighten(tmp_path)
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    tighten(tmp_path / "nowhere")
