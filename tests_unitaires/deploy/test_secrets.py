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
        assert len(one[name]) >= 64
        assert not set(one[name]) & set("/+@:?#")
    for name, (_, password) in maker["ADDRESSES"].items():
        assert one[password] in one[name]
        assert [other for other in maker["RANDOM"] if one[other] in one[name]] == [password]
    Fernet(one["AIRFLOW_FERNET_KEY"])


def test_a_program_that_entered_as_the_owner_of_all_gets_its_own_role(maker: dict[str, Any], tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "POSTGRES_PASSWORD").write_text("mine")
    (tmp_path / "DATABASE_MLFLOW").write_text("postgresql+psycopg2://meteo:mine@postgres/mlflow")
    (tmp_path / "DATABASE_AIRFLOW").write_text("postgresql+psycopg2://me:chosen@elsewhere/airflow")
    maker["fill"](tmp_path)
    assert (tmp_path / "DATABASE_MLFLOW").read_text().startswith("postgresql+psycopg2://mlflow:")
    assert (tmp_path / "DATABASE_AIRFLOW").read_text() == "postgresql+psycopg2://me:chosen@elsewhere/airflow"


def test_no_container_gets_a_secret_that_another_program_reads() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]
    given = {
        name: {entry if isinstance(entry, str) else entry["source"] for entry in service.get("secrets", [])}
        for name, service in services.items()
    }
    holders = {
        secret: {name for name, names in given.items() if secret in names} for secret in set().union(*given.values())
    }
    assert holders["DATABASE_METEO"] == {"accounts"}
    assert holders["METEO_GATEWAY__JWT_SECRET"] == {"gateway", "gateway-2"}
    assert holders["METEO_MODELS_SECRET"] == {"api-model", "api-model-2", "train", "airflow-worker"}
    assert given["mlflow"] == {"DATABASE_MLFLOW", "METEO_MLFLOW__PASSWORD"}
    assert given["console"] == given["demo"] == set()
    assert given["preprocess"] == given["ingest"] == {"DATABASE_JOBS"}


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
