"""Each service's own pins are enough for it: an environment of just that group can start the package."""

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
UV = REPOSITORY / ".venv-tools" / "bin" / "uv"
GROUPS = {
    "ingest": "ingest.__main__, ingest.demo.__main__",
    "preprocessing": "preprocessing.__main__",
    "train": "train.cli",
    "monitoring": "monitoring.__main__",
    "api_model": "api_model.__main__, onnxruntime, xgboost",
    "gateway": "gateway.__main__",
    "streamlit_app": "streamlit_app.__main__, streamlit_app.views.training",
}


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_a_services_pins_are_enough_to_start_it(group: str, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([UV, "venv", "-q", tmp_path / "venv"], check=True)
    pins = REPOSITORY / "requirements" / f"{group}.txt"
    subprocess.run([UV, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", pins], check=True)
    done = subprocess.run(
        [python, "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY / 'src')!r}); import {GROUPS[group]}"],
        capture_output=True, text=True, check=False, env={},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
