"""`make secrets`: secrets/ with a random one in each file, tls/ with a self-signed certificate for the proxy, and .env
with the name of this host; what is there is left alone."""

import base64
import ipaddress
import re
import secrets
import subprocess
import sys
from pathlib import Path

ADDRESSES = {
    "DATABASE_METEO": ("postgresql+psycopg://meteo:{}@postgres/meteo", "POSTGRES_PASSWORD"),
    "DATABASE_GATEWAY": ("postgresql+psycopg://gateway:{}@postgres/meteo", "PASSWORD_GATEWAY"),
    "DATABASE_API_MODEL": ("postgresql+psycopg://api_model:{}@postgres/meteo", "PASSWORD_API_MODEL"),
    "DATABASE_JOBS": ("postgresql+psycopg://jobs:{}@postgres/meteo", "PASSWORD_JOBS"),
    "DATABASE_RETENTION": ("postgresql+psycopg://retention:{}@postgres/meteo", "PASSWORD_RETENTION"),
    "DATABASE_MLFLOW": ("postgresql+psycopg2://mlflow:{}@postgres/mlflow", "PASSWORD_MLFLOW"),
    "DATABASE_AIRFLOW": ("postgresql+psycopg2://airflow:{}@postgres/airflow", "PASSWORD_AIRFLOW"),
    "DATABASE_AIRFLOW_RESULTS": ("db+postgresql+psycopg2://airflow:{}@postgres/airflow", "PASSWORD_AIRFLOW"),
    "REDIS_CONFIGURATION": ("requirepass {}\n", "REDIS_PASSWORD"),
    "REDIS_LIMITS": ("redis://:{}@redis:6379/0", "REDIS_PASSWORD"),
    "REDIS_BROKER": ("redis://:{}@redis:6379/1", "REDIS_PASSWORD"),
}
"""What holds one of the passwords, and which."""
RANDOM = (*sorted({password for _, password in ADDRESSES.values()}), "METEO_SERVICE_SECRET", "METEO_MODELS_SECRET",
          "METEO_GATEWAY__JWT_SECRET", "METEO_AIRFLOW__PASSWORD", "METEO_MLFLOW__PASSWORD", "AIRFLOW_SECRET_KEY",
          "AIRFLOW_JWT_SECRET", "GRAFANA_PASSWORD")  # fmt: skip


def fill(folder: Path) -> None:
    """Each secret in a file of its own. The folder is its owner's alone; its files can be read by all, as they are put
    into containers whose users this machine does not know."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in RANDOM:
        _write(folder / name, secrets.token_urlsafe(48))
    _write(folder / "AIRFLOW_FERNET_KEY", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    _write(folder / "METEO_GATEWAY__JWT_SECRET_PREVIOUS", "")
    owner = (folder / "POSTGRES_PASSWORD").read_text(encoding="utf-8")
    for name, (form, password) in ADDRESSES.items():
        text = form.format((folder / password).read_text(encoding="utf-8"))
        _replace_owner(folder / name, text, owner)
        _write(folder / name, text)


def _replace_owner(path: Path, text: str, password: str) -> None:
    """Remove an address by which a program entered its database as the owner of all: it has a role of its own now."""
    owners = re.sub(r"//\w+:[^@]+@", f"//meteo:{password}@", text)
    if path.exists() and path.read_text(encoding="utf-8") == owners != text:
        path.unlink()


def certify(folder: Path, host: str) -> None:
    """tls.crt and tls.key, for a year; put those of an authority in their place where there is one."""
    if (folder / "tls.crt").exists():
        _stays(folder / "tls.crt")
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    kind = "IP" if _address(host) else "DNS"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "365",
            "-subj",
            f"/CN={host}",
            "-addext",
            f"subjectAltName={kind}:{host},DNS:localhost,IP:127.0.0.1",
            "-keyout",
            str(folder / "tls.key"),
            "-out",
            str(folder / "tls.crt"),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    _made(folder / "tls.crt")


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and never over what is there."""
    if path.exists():
        _stays(path)
        return
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o644)
    temporary.rename(path)
    _made(path)


def _made(path: Path) -> None:
    print(f"made {path.parent.name}/{path.name}")


def _stays(path: Path) -> None:
    print(f"{path.parent.name}/{path.name} is there already and stays as it is", file=sys.stderr)


def _address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def main(root: Path, host: str) -> None:
    fill(root / "secrets")
    certify(root / "tls", host)
    _write(root / ".env", f"HOST={host}\n")


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[2], sys.argv[1] if len(sys.argv) > 1 else "localhost")
