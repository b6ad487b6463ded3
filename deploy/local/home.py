"""METEO_HOME on one machine: its secrets, its source of observations, and the environment of its processes."""

import base64
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

_SECRETS = (
    "METEO_GATEWAY__JWT_SECRET",
    "METEO_SERVICE_SECRET",
    "METEO_AIRFLOW__PASSWORD",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
)


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

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The environment of this home's processes: what is `given`, what is remembered, and Airflow's settings."""
        python = REPOSITORY / ".venv" / "bin" / "python"
        airflow_bin = REPOSITORY / ".venv-airflow" / "bin"
        found = {
            **given,
            **self.remembered,
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
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": given.get(
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{self.folder / 'airflow' / 'airflow.db'}"
            ),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
            found.pop(name, None)
        return found


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


def _write(path: Path, text: str) -> None:
    """Replace a private file (mode 0600) as a whole."""
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
