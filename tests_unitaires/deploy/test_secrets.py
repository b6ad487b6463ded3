import importlib.util
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_secrets", REPOSITORY / "deploy/images/make_secrets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_secret_of_the_example_is_random_and_safe_in_an_address(tmp_path: Path) -> None:
    example = (REPOSITORY / ".env.example").read_text()
    (tmp_path / ".env.example").write_text(example)
    script = tmp_path / "deploy/images/make_secrets.py"
    script.parent.mkdir(parents=True)
    script.write_text((REPOSITORY / "deploy/images/make_secrets.py").read_text())
    subprocess.run([sys.executable, str(script)], check=True)
    written = tmp_path / ".env"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in written.read_text().splitlines() if line and not line.startswith("#"))
    names = {line[:-1] for line in example.splitlines() if line.endswith("=") and not line.startswith("#")}
    assert set(values) == names
    assert len(set(values.values())) == len(values)
    assert all(len(value) >= 43 and not set(value) & set("/+@:?#") for value in values.values())
    assert len(values["AIRFLOW__CORE__FERNET_KEY"]) == 44


def test_secrets_that_are_there_stay(maker: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".env.example").write_text("A=\n")
    (tmp_path / ".env").write_text("A=mine\n")
    maker.main(tmp_path)
    assert (tmp_path / ".env").read_text() == "A=mine\n"
    assert "stays as it is" in capsys.readouterr().err
