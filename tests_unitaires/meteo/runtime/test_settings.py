import secrets
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from meteo.runtime.settings import Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("METEO_CONFIG", "METEO_HOME", "METEO_SECRETS"):
        monkeypatch.delenv(name, raising=False)


def config(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    monkeypatch.setenv("METEO_CONFIG", str(path))


def test_a_file_sets_what_the_environment_overrides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config("ingest: {source: bom, pause_seconds: 3}\n", monkeypatch, tmp_path)
    monkeypatch.setenv("METEO_INGEST__SOURCE", "file")
    monkeypatch.setenv("METEO_INGEST__PATHS", '["a.csv"]')
    found = Settings().ingest
    assert (found.source, found.pause_seconds, found.paths) == ("file", 3, (Path("a.csv"),))


@pytest.mark.parametrize("text", ["ingest: {sorce: bom}\n", "ingets: {source: bom}\n", "ingest: {source: bomb}\n"])
def test_unknown_keys_and_values_are_refused(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config(text, monkeypatch, tmp_path)
    with pytest.raises(ValidationError):
        Settings()


def test_a_named_config_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METEO_CONFIG", "nowhere.yaml")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        Settings()


def test_the_committed_config_says_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    monkeypatch.setenv("METEO_CONFIG", str(Path(__file__).parents[3] / "config" / "config.yaml"))
    assert Settings() == defaults


def test_stores_are_files_under_home_unless_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METEO_HOME", "some where")
    monkeypatch.setenv("METEO_STORE__GATEWAY_URL", "postgresql+psycopg://db/meteo")
    settings = Settings()
    assert settings.observations_url == f"sqlite:///{tmp_path.resolve()}/some where/observations.db"
    assert settings.gateway_url == "postgresql+psycopg://db/meteo"


def test_secrets_are_read_from_files_that_variables_outrank(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "METEO_SERVICE_SECRET").write_text("of the file\n")
    (tmp_path / "METEO_GATEWAY__JWT_SECRET").write_text("of the file")
    (tmp_path / "POSTGRES_PASSWORD").write_text("not ours")
    monkeypatch.setenv("METEO_SECRETS", str(tmp_path))
    monkeypatch.setenv("METEO_GATEWAY__JWT_SECRET", "of the variable")
    monkeypatch.setenv("METEO_GATEWAY__PORT", "8005")
    settings = Settings()
    assert settings.service_secret.get_secret_value() == "of the file"
    assert (settings.gateway.jwt_secret.get_secret_value(), settings.gateway.port) == ("of the variable", 8005)


def test_a_folder_of_secrets_must_exist_and_hold_no_misspelt_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METEO_SECRETS", str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="nowhere"):
        Settings()
    (tmp_path / "METEO_GATEWAY__JWT_SECRT").write_text("x")
    monkeypatch.setenv("METEO_SECRETS", str(tmp_path))
    with pytest.raises(ValidationError, match="jwt_secrt"):
        Settings()


@pytest.mark.parametrize("value", ["", "short"])
def test_a_weak_secret_is_refused_by_the_name_of_its_variable(value: str) -> None:
    with pytest.raises(ValueError, match="METEO_X must be set") as refusal:
        Settings().secret(SecretStr(value), "METEO_X")
    assert "short" not in str(refusal.value).replace("at least", "")


@pytest.mark.parametrize(
    "value", ["x" * 40, "change-me-" * 5, "0123456789abcdef" * 3, "My-Secret-That-Is-Long-Enough-To-Pass"]
)
def test_production_takes_no_made_up_secret(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert Settings().secret(SecretStr(value), "METEO_X") == value
    monkeypatch.setenv("METEO_ENVIRONMENT", "production")
    with pytest.raises(ValueError, match="METEO_X is no random string") as refusal:
        Settings().secret(SecretStr(value), "METEO_X")
    assert value not in str(refusal.value)
    for _ in range(200):
        text = secrets.token_urlsafe(32)
        assert Settings().secret(SecretStr(text), "METEO_X") == text


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METEO_SERVICE_SECRET", "canary" * 8)
    assert "canary" not in repr(Settings())
