import json
import stat
from pathlib import Path

import pytest
from home import OWN, Home, HomeError, choose_source


def test_secrets_are_random_private_and_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.decide("", {})
    first = home.remembered
    home.decide("", {})
    assert home.remembered == first
    assert stat.S_IMODE((tmp_path / "local.env").stat().st_mode) == 0o600
    other = Home(tmp_path / "other")
    other.decide("", {})
    for name, value in first.items():
        if name != "METEO_INGEST__SOURCE":
            assert len(value) >= 32
            assert other.remembered[name] != value


def test_each_package_finds_its_own_secrets_in_files_and_none_in_the_environment(tmp_path: Path) -> None:
    home = Home(tmp_path)
    given = {"METEO_STORE__GATEWAY_URL": "postgresql://g:pw@db/g", "METEO_GATEWAY__LIMITS": "redis://:pw@r",
             "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://a:pw@db/a", "PATH": "/bin"}  # fmt: skip
    home.decide("", given)
    files = {package: {path.name for path in (tmp_path / "secrets" / package).iterdir()} for package in OWN}
    assert files["gateway"] == {"METEO_SERVICE_SECRET", "METEO_GATEWAY__JWT_SECRET", "METEO_AIRFLOW__PASSWORD",
                                "METEO_MLFLOW__PASSWORD",
                                "METEO_STORE__GATEWAY_URL", "METEO_GATEWAY__LIMITS"}  # fmt: skip
    assert "METEO_GATEWAY__JWT_SECRET" not in set().union(
        *(names for name, names in files.items() if name != "gateway")
    )
    assert files["ingest"] == set(), "SQLite needs no address"
    assert files["preprocessing"] == {"METEO_MODELS_SECRET", "METEO_MLFLOW__PASSWORD"}
    values = " ".join(home.environment(given).values())
    assert not [name for name, value in home.remembered.items() if name != "METEO_INGEST__SOURCE" and value in values]
    assert ":pw@" not in values
    home.decide("", {})
    assert not (tmp_path / "secrets" / "gateway" / "METEO_GATEWAY__LIMITS").exists()


def test_a_folder_of_secrets_is_read_and_handed_on(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "METEO_SERVICE_SECRET").write_text("of the operator\n")
    home = Home(tmp_path / "home")
    home.decide("", {"METEO_SECRETS": str(tmp_path / "given")})
    for package in ("gateway", "api_model", "train"):
        assert (home.secrets / package / "METEO_SERVICE_SECRET").read_text() == "of the operator"


def test_a_home_that_others_could_read_is_closed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.decide("", {})
    (tmp_path / "outside").write_text("")
    (home.folder / "logs" / "link").symlink_to(tmp_path / "outside")
    for path in (home.folder, home.folder / "logs", home.folder / "logs" / "old.log", home.folder / "run" / "tool"):
        if not path.is_dir():
            path.write_text("")
        path.chmod(0o777)
    (tmp_path / "outside").chmod(0o666)
    home.decide("", {})
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in home.folder.rglob("*") if not path.is_symlink()}
    assert not {path: oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o666, "links are not followed"


def test_airflow_gets_the_password_the_gateway_uses(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.decide("", {})
    passwords = json.loads((tmp_path / "airflow" / "passwords.json").read_text())
    assert passwords == {"gateway": home.remembered["METEO_AIRFLOW__PASSWORD"]}


def test_the_environment_finds_home_config_and_the_right_pythons(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.decide("", {})
    found = home.environment({"PATH": "/bin", "PYTHONPATH": "elsewhere", "METEO_GATEWAY__PORT": "1"})
    assert found["METEO_HOME"] == str(tmp_path)
    assert Path(found["METEO_CONFIG"]).is_file()
    assert Path(found["AIRFLOW__CORE__DAGS_FOLDER"], "training.py").is_file()
    assert found["METEO_GATEWAY__PORT"] == "1"
    assert "PYTHONPATH" not in found
    assert found["MLFLOW_DISABLE_TELEMETRY"] == "true", "nobody outside is told what is done here"
    assert found["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_the_socket_has_a_short_path_of_its_own_per_home(tmp_path: Path) -> None:
    deep = Home(tmp_path / ("long" * 60))
    assert len(str(deep.socket)) < 100
    assert deep.socket != Home(tmp_path).socket


def test_demo_is_the_default_and_what_was_used_is_kept() -> None:
    assert choose_source("", {}, {}) == {"METEO_INGEST__SOURCE": "demo"}
    assert choose_source("", {}, {"METEO_INGEST__SOURCE": "file"}) == {"METEO_INGEST__SOURCE": "file"}
    assert choose_source("", {"METEO_INGEST__SOURCE": "bom"}, {"METEO_INGEST__SOURCE": "file"}) == {
        "METEO_INGEST__SOURCE": "bom"
    }


def test_history_is_read_from_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weatherAUS.csv").write_text("x")
    monkeypatch.chdir(tmp_path)
    found = choose_source("weatherAUS.csv", {}, {})
    assert found["METEO_INGEST__SOURCE"] == "file"
    assert json.loads(found["METEO_INGEST__PATHS"]) == [str(tmp_path / "weatherAUS.csv")]


def test_a_history_that_is_not_there_is_refused() -> None:
    with pytest.raises(HomeError, match="HISTORY: /nowhere does not exist"):
        choose_source("/nowhere", {}, {})


@pytest.mark.parametrize(("used", "asked"), [("demo", "bom"), ("file", "demo")])
def test_simulated_and_real_never_share_a_home(used: str, asked: str) -> None:
    with pytest.raises(HomeError, match="never share one"):
        choose_source("", {"METEO_INGEST__SOURCE": asked}, {"METEO_INGEST__SOURCE": used})
