"""METEO_HOME on one machine: its secrets, its source of observations, and the environment of its processes."""

import base64
import hashlib
import itertools
import json
import os
import secrets
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from meteo.runtime.private_files import keep_private, tighten

REPOSITORY = Path(__file__).resolve().parents[2]

_SECRETS = (
    "METEO_GATEWAY__JWT_SECRET",
    "METEO_SERVICE_SECRET",
    "METEO_MODELS_SECRET",
    "METEO_MLFLOW__PASSWORD",
    "METEO_AIRFLOW__PASSWORD",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
)
_SERVICE, _MODELS, _MLFLOW = "METEO_SERVICE_SECRET", "METEO_MODELS_SECRET", "METEO_MLFLOW__PASSWORD"
_JWT, _PASSWORD = "METEO_GATEWAY__JWT_SECRET", "METEO_AIRFLOW__PASSWORD"
_OBSERVATIONS, _PREDICTIONS = "METEO_STORE__OBSERVATIONS_URL", "METEO_STORE__PREDICTIONS_URL"
_AIRFLOW_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
OWN: dict[str, tuple[str, ...]] = {
    "gateway": (
        _SERVICE,
        _JWT,
        f"{_JWT}_PREVIOUS",
        _PASSWORD,
        _MLFLOW,
        "METEO_STORE__GATEWAY_URL",
        "METEO_GATEWAY__LIMITS",
    ),
    "api_model": (_SERVICE, _MODELS, _MLFLOW, _OBSERVATIONS, _PREDICTIONS),
    "ingest": (_OBSERVATIONS,),
    "preprocessing": (_MODELS, _MLFLOW, _OBSERVATIONS),
    "train": (_SERVICE, _MODELS, _MLFLOW, _OBSERVATIONS),
    "monitoring": (_MODELS, _MLFLOW, _OBSERVATIONS, _PREDICTIONS),
    "gateway.housekeeping": ("METEO_STORE__GATEWAY_URL",),
    "mlflow": (_MLFLOW,),
    "airflow": (
        _AIRFLOW_DATABASE,
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__CORE__FERNET_KEY",
    ),
}
"""The secrets that each package's services and jobs, or one of its modules, read, each from a file of that name in a
folder of the package's. Addresses of databases count as secrets: they may hold a password."""


class HomeError(Exception):
    """What is asked of this home cannot be, and why."""


class Home:
    """The folder that holds all state of one running system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self._memory = self.folder / "local.env"

    @property
    def socket(self) -> Path:
        """Where supervisord listens: a short path, since sockets allow about 100 characters."""
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"rain-tomorrow-{os.getuid()}-{digest}.sock"

    @property
    def secrets(self) -> Path:
        """A folder for each package of OWN."""
        return self.folder / "secrets"

    @property
    def remembered(self) -> dict[str, str]:
        """What earlier starts decided: secrets and the source."""
        if not self._memory.exists():
            return {}
        lines = self._memory.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if line)

    @property
    def observed(self) -> bool:
        """Whether Prometheus and what belongs to it run as well."""
        return self.remembered.get("OBSERVABILITY") == "1"

    def decide(self, history: str, environment: Mapping[str, str], observability: bool = False) -> None:
        """Make the folder and its secrets, and settle where observations come from and whether Prometheus runs (from
        when it was asked for on); HomeError on a contradiction."""
        if self._memory.exists():
            tighten(self.folder)
        keep_private(self.folder)
        for name in ("run", "logs", "mlflow", "airflow"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        memory = self.remembered
        for name in _SECRETS:
            memory.setdefault(name, secrets.token_urlsafe(36))
        memory.setdefault("AIRFLOW__CORE__FERNET_KEY", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
        if observability:
            memory["OBSERVABILITY"] = "1"
        memory.update(choose_source(history, environment, memory))
        _write(self._memory, "".join(f"{name}={value}\n" for name, value in memory.items()))
        password = json.dumps({"gateway": memory["METEO_AIRFLOW__PASSWORD"]})
        _write(self.folder / "airflow" / "passwords.json", password)
        self._hand_out(memory, environment)

    def _hand_out(self, memory: Mapping[str, str], environment: Mapping[str, str]) -> None:
        """Give each package the secrets that it reads, those of the environment before our own."""
        ours = {_AIRFLOW_DATABASE: f"sqlite:///{self.folder / 'airflow' / 'airflow.db'}", **memory}
        for package, names in OWN.items():
            folder = self.secrets / package
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                if value := _given(name, environment) or ours.get(name):
                    _write(folder / name, value)
                else:
                    (folder / name).unlink(missing_ok=True)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of this home's processes: what is `given`, the source, and Airflow's settings. No secret is
        in it."""
        python = REPOSITORY / ".venv" / "bin" / "python"
        airflow_bin = REPOSITORY / ".venv-airflow" / "bin"
        withheld = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "METEO_SECRETS", *itertools.chain(*OWN.values())}
        known = {**given, **self.remembered}
        return {
            **{name: value for name, value in known.items() if name not in withheld},
            "METEO_HOME": str(self.folder),
            "METEO_CONFIG": given.get("METEO_CONFIG", str(REPOSITORY / "config" / "config.yaml")),
            "METEO_SOCKET": str(self.socket),
            "METEO_PYTHON": str(python),
            "METEO_BIN": str(python.parent),
            "AIRFLOW_BIN": str(airflow_bin),
            "AIRFLOW_HOME": str(self.folder / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "src" / "airflow" / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "gateway:op",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "airflow" / "passwords.json"),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            **{f"{name}_CMD": f"cat {shlex.quote(str(self.secrets / 'airflow' / name))}" for name in OWN["airflow"]},
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "JOB_SECRETS": str(self.secrets),
        }


def choose_source(history: str, environment: Mapping[str, str], memory: Mapping[str, str]) -> dict[str, str]:
    """The settings that name the source: HISTORY, else the environment, else what this home uses, else demo."""
    used = memory.get("METEO_INGEST__SOURCE")
    if history:
        path = Path(history).expanduser().resolve()
        if not path.exists():
            raise HomeError(f"HISTORY: {path} does not exist")
        chosen = {"METEO_INGEST__SOURCE": "file", "METEO_INGEST__PATHS": json.dumps([str(path)])}
    elif "METEO_INGEST__SOURCE" in environment:
        chosen = {
            name: environment[name] for name in ("METEO_INGEST__SOURCE", "METEO_INGEST__PATHS") if name in environment
        }
    else:
        chosen = {"METEO_INGEST__SOURCE": used or "demo"}
    asked = chosen["METEO_INGEST__SOURCE"]
    if used and (used == "demo") != (asked == "demo"):
        raise HomeError(
            f"this METEO_HOME was set up with source {used!r}, and simulated and real observations never share one; "
            f"for source {asked!r} use another: METEO_HOME=… make up"
        )
    return chosen


def _given(name: str, environment: Mapping[str, str]) -> str | None:
    """A secret of the environment, or of the folder that it calls METEO_SECRETS."""
    if name in environment:
        return environment[name]
    folder = environment.get("METEO_SECRETS")
    path = Path(folder, name) if folder else None
    return path.read_text(encoding="utf-8").strip() if path and path.is_file() else None


def _write(path: Path, text: str) -> None:
    """Replace a private file (mode 0600) as a whole, unless it says so already: somebody may be reading it."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
