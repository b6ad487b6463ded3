"""Settings of the whole product: `config/config.yaml`, overridden by environment variables `METEO_SECTION__KEY`.

Unknown keys are refused. Secrets come from the environment or from files: `METEO_SECRETS` names a folder that must be
there, and a file in it called `METEO_SECTION__KEY` holds the value, which the variable of that name outranks. Only
`app.py`, `job.py` and `__main__.py` modules read settings; everything else receives what it needs.
"""

import os
import re
from datetime import date
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from meteo import training_parameters
from meteo.errors import InvalidInput
from meteo.training_parameters import ModelKind

TRAINING = "training"
SourceName = Literal["bom", "file", "demo"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Store(Section):
    """SQLAlchemy addresses; empty means SQLite files under `home`."""

    observations_url: str = ""
    predictions_url: str = ""
    gateway_url: str = ""


class Ingest(Section):
    source: SourceName = "demo"
    paths: tuple[Path, ...] = ()
    bom_url: str = "https://www.bom.gov.au"
    demo_url: str = "http://127.0.0.1:8009"
    demo_days_behind: int = Field(0, ge=0, le=400, description="how far the simulated present is in the past at first")
    user_agent: str = "Mozilla/5.0 (X11; Linux x86_64) rain-tomorrow/0.1"
    pause_seconds: float = Field(1.0, ge=0)
    timeout_seconds: float = Field(30.0, gt=0)
    attempts: int = Field(4, ge=1, le=10, description="at one request before the run gives up")
    backoff_seconds: float = Field(1.0, ge=0, description="first of the growing, random pauses between attempts")
    months: int = Field(2, ge=1, le=14, description="months to read when no range is asked for: this one and before")


class Preprocessing(Section):
    """Rows from `test_start` on are held out; `None` holds out the last `test_share` of the days."""

    validation_start: date | None = None
    test_start: date | None = None
    validation_share: float = Field(0.15, gt=0, lt=0.5)
    test_share: float = Field(0.15, gt=0, lt=0.5)
    remote: str = Field("", description="DVC remote, such as s3://bucket/path; empty: a folder under home")
    remote_endpoint: str = Field("", description="address of an S3 service other than Amazon's")


class Train(Section):
    kind: ModelKind = "xgboost"
    params: dict[str, float | int | str] = {}
    seed: int = 20070101
    masked_share: float = Field(0.75, ge=0, le=2, description="rows repeated with fields masked, per training row")
    minimum_rows: int = 2000
    ece_limit: float = 0.03
    margin: float = Field(0.0005, gt=0, lt=1, description="a Brier score higher by less than this is no worse")
    experiment: str = "training"
    model_name: str = "rain-tomorrow"

    @model_validator(mode="after")
    def _parameters_of_the_kind(self) -> Self:
        try:
            training_parameters.checked(self.kind, self.params)
        except InvalidInput as error:
            raise ValueError(f"train.{error.detail}") from error
        return self


class Monitoring(Section):
    minimum_outcomes: int = 200
    cooldown_days: int = Field(7, description="a model younger than this is not replaced for its live quality")
    experiment: str = "monitoring"
    period_days: int = Field(90, ge=7, description="how far back live quality looks")
    page_days: int = Field(
        1, ge=1, description="one day in so many has Evidently's pages of 5 MB each; what drifts always"
    )


class Retention(Section):
    """How long what piles up is kept: in days, or how many. The table in docs/operations.md says what each is."""

    predictions_days: int = Field(400, ge=7)
    forecast_sums_days: int = Field(3660, ge=7)
    audit_days: int = Field(400, ge=7)
    ingestions_days: int = Field(400, ge=7)
    revisions_days: int = Field(1100, ge=7)
    champions: int = Field(60, ge=2)
    challengers: int = Field(13, ge=1)
    monitoring_runs: int = Field(60, ge=1)
    airflow_days: int = Field(30, ge=1)


class Service(Section):
    host: str = "127.0.0.1"
    port: int
    url: str = Field("", description="where others reach it; empty: http://host:port")

    @property
    def address(self) -> str:
        return self.url or f"http://{self.host}:{self.port}"


class ApiModel(Service):
    port: int = 8000
    poll_seconds: float = 15.0


class Gateway(Service):
    port: int = 8001
    workers: int = Field(1, ge=1, le=64, description="processes; of more than one, `limits` must be a Redis")
    registration: Literal["open", "closed"] = "closed"
    access_minutes: int = 15
    refresh_days: int = 7
    jwt_secret: SecretStr = SecretStr("")
    jwt_secret_previous: SecretStr = Field(
        SecretStr(""), description="while a new jwt_secret takes over: the one before"
    )
    body_limit_bytes: int = 10_000_000
    predictions_user: str = "10/minute"
    predictions_admin: str = "600/minute"
    batch_rows_user: str = Field("200000/hour", description="rows of batches, all together")
    batch_rows_admin: str = Field("5000000/hour", description="the same of admins and of programs with a key")
    failures_per_account: str = "10/5 minutes"
    failures_per_peer: str = "40/5 minutes"
    limits: SecretStr = Field(SecretStr("memory://"), description="where rates are counted: memory:// or redis://…")
    trusted_proxies: str = Field("", description="addresses whose X-Forwarded-For is believed, comma-separated")

    @model_validator(mode="after")
    def _count_together(self) -> Self:
        if self.workers > 1 and self.limits.get_secret_value().startswith("memory"):
            raise ValueError("with several workers, limits must be a redis:// address: each would count for itself")
        return self


class Console(Service):
    port: int = 8002
    metrics_port: int = 8003
    idle_minutes: int = 60
    links: dict[str, str] = Field({}, description="other parts' own pages, shown to admins: a name and an address each")


class Airflow(Service):
    port: int = 8080
    username: str = "gateway"
    password: SecretStr = SecretStr("")


MLFLOW_USER = "meteo"
"""MLflow looks at the password alone."""


class Mlflow(Service):
    port: int = 8100
    timeout_seconds: int = Field(20, ge=1, description="for a job's request, which is tried twice")
    password: SecretStr = SecretStr("")

    @property
    def private_address(self) -> str:
        """The address with the password, for a client that never repeats it; it sends them as Basic credentials."""
        if not (password := self.password.get_secret_value()):
            return self.address
        return self.address.replace("://", f"://{MLFLOW_USER}:{quote(password, safe='')}@", 1)


class Prometheus(Service):
    port: int = 9090
    scrape_seconds: int = Field(15, ge=1, le=60)


class Alertmanager(Service):
    port: int = 9093


class NodeExporter(Service):
    port: int = 9100


class Alerts(Section):
    """The mail that alerts are sent by; without `to`, none is."""

    to: str = ""
    sender: str = "rain-tomorrow@localhost"
    smarthost: str = Field("localhost:25", description="host:port of the mail server")
    username: str = ""
    password_file: Path | None = None
    require_tls: bool = True

    @model_validator(mode="after")
    def _password_of_the_user(self) -> Self:
        if self.username and self.password_file is None:
            raise ValueError("alerts.username needs alerts.password_file, a file with the password")
        return self


_MADE_UP = re.compile("change|secret|password|example|placeholder|default|123456|abcdef", re.IGNORECASE)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="METEO_", env_nested_delimiter="__", extra="forbid", frozen=True)

    home: Path = Path("data")
    environment: Literal["development", "production"] = "development"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str = Field("", description="OpenTelemetry collector, such as http://localhost:4318; empty: none")
    service_secret: SecretStr = SecretStr("")
    models_secret: SecretStr = Field(SecretStr(""), description="signs model cards; MLflow must not have it")
    store: Store = Store()
    ingest: Ingest = Ingest()
    preprocessing: Preprocessing = Preprocessing()
    train: Train = Train()
    monitoring: Monitoring = Monitoring()
    retention: Retention = Retention()
    api_model: ApiModel = ApiModel()
    gateway: Gateway = Gateway()
    console: Console = Console()
    airflow: Airflow = Airflow()
    mlflow: Mlflow = Mlflow()
    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()
    node_exporter: NodeExporter = NodeExporter()
    alerts: Alerts = Alerts()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = [init_settings, env_settings]
        if folder := os.environ.get("METEO_SECRETS"):
            sources.append(NestedSecretsSettingsSource(file_secret_settings, folder, secrets_dir_missing="error"))
        if path := config_file():
            sources.append(YamlConfigSettingsSource(settings_cls, path))
        return tuple(sources)

    @model_validator(mode="after")
    def _absolute_home(self) -> Self:
        object.__setattr__(self, "home", self.home.expanduser().resolve())
        return self

    @model_validator(mode="after")
    def _no_debugging_in_production(self) -> Self:
        if self.environment == "production" and self.log_level == "debug":
            raise ValueError("log_level must not be debug in production: libraries then log what they are given")
        return self

    @property
    def observations_url(self) -> str:
        return self.store.observations_url or self._sqlite("observations.db")

    @property
    def predictions_url(self) -> str:
        return self.store.predictions_url or self._sqlite("predictions.db")

    @property
    def gateway_url(self) -> str:
        return self.store.gateway_url or self._sqlite("gateway.db")

    def location(self) -> dict[str, str]:
        """Environment variables by which a process started in another folder finds the same settings."""
        config = config_file()
        return {"METEO_HOME": str(self.home)} | ({"METEO_CONFIG": str(config.resolve())} if config else {})

    @property
    def job_metrics(self) -> Path:
        """Where jobs leave what Node Exporter's textfile collector reads."""
        return self.home / "metrics" / "jobs"

    @property
    def workspace(self) -> Path:
        """Where DVC runs."""
        return self.home / "dvc"

    @property
    def training_data(self) -> Path:
        """All that training reads: one folder, and to DVC one version."""
        return self.workspace / TRAINING

    @property
    def pipeline(self) -> Path:
        """The repository's dvc.yaml, beside its config folder."""
        config = config_file()
        return (config.parent.parent if config else Path()).resolve() / "dvc.yaml"

    def _sqlite(self, name: str) -> str:
        return f"sqlite:///{self.home / name}"

    def secret(self, value: SecretStr, variable: str) -> str:
        """The secret's text; ValueError names the variable (never the value) when it is missing or too short, in
        production also when it looks made up."""
        text = value.get_secret_value()
        if len(text) < 32:
            raise ValueError(f"{variable} must be set to a random string of at least 32 characters")
        if self.environment == "production" and (len(set(text)) < 12 or _MADE_UP.search(text)):
            raise ValueError(f"{variable} is no random string; in production it must be one, of at least 32 characters")
        return text


def config_file() -> Path | None:
    """`METEO_CONFIG` if set (it must exist), else `config/config.yaml` below the current folder, else none."""
    if named := os.environ.get("METEO_CONFIG"):
        path = Path(named)
        if not path.is_file():
            raise FileNotFoundError(f"METEO_CONFIG names {named}, which is not a file")
        return path
    path = Path("config/config.yaml")
    return path if path.is_file() else None
