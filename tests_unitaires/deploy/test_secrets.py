import runpy
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def maker() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "deploy/containers/make_secrets.py"))


def test_every_secret_the_containers_name_is_made(maker: dict[str, Any], tmp_path: Path) -> None:
    maker["fill"](tmp_path / "secrets")
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} == {
        path.name for path in (tmp_path / "secrets").iterdir()
    }


def test_secrets_are_random_safe_in_an_address_and_in_a_folder_of_their_owner(
    maker: dict[str, Any], tmp_path: Path
) -> None:
    one, other = ({path.name: path.read_text() for path in _filled(maker, tmp_path / name)} for name in ("one", "two"))
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700
    assert one.pop("METEO_GATEWAY__JWT_SECRET_PREVIOUS") == other.pop("METEO_GATEWAY__JWT_SECRET_PREVIOUS") == ""
    assert not set(one.values()) & set(other.values())
    for name in maker["RANDOM"]:
        assert len(one[name]) >= 43
        assert not set(one[name]) & set("/+@:?#")
    for name in maker["DATABASES"]:
        assert f"meteo:{one['POSTGRES_PASSWORD']}@postgres/" in one[name]
    Fernet(one["AIRFLOW_FERNET_KEY"])


def test_what_is_there_stays(maker: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "POSTGRES_PASSWORD").write_text("mine")
    maker["main"](tmp_path, "rain.example")
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert first[tmp_path / "secrets" / "POSTGRES_PASSWORD"] == b"mine"
    assert first[tmp_path / "secrets" / "DATABASE_METEO"] == b"postgresql+psycopg://meteo:mine@postgres/meteo"
    assert first[tmp_path / ".env"] == b"HOST=rain.example\n"
    maker["main"](tmp_path, "another.example")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first
    assert "stays as it is" in capsys.readouterr().err


def _filled(maker: dict[str, Any], folder: Path) -> list[Path]:
    maker["fill"](folder)
    return list(folder.iterdir())
