"""`make secrets`: write .env from .env.example with random secrets, and a self-signed certificate for the proxy; what
is there is left alone."""

import base64
import ipaddress
import os
import secrets
import subprocess
import sys
from pathlib import Path


def filled(example: str) -> str:
    """The example with a random value for each empty name, safe in addresses; Airflow's Fernet key has its own form."""
    lines = []
    for line in example.splitlines():
        name, sign, value = line.partition("=")
        if sign and not value and not line.startswith("#"):
            made = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
            line = f"{name}={made if name.endswith('FERNET_KEY') else made.rstrip('=')}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def main(folder: Path) -> None:
    """Write it with mode 0600."""
    try:
        descriptor = os.open(folder / ".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(".env is there already and stays as it is", file=sys.stderr)  # noqa: T201
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(filled((folder / ".env.example").read_text(encoding="utf-8")))


def certify(folder: Path, host: str) -> None:
    """tls/tls.crt and tls/tls.key, for a year; put those of an authority in their place where there is one."""
    if (folder / "tls.crt").exists():
        print(f"{folder.name}/tls.crt is there already and stays as it is", file=sys.stderr)  # noqa: T201
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    kind = "IP" if _address(host) else "DNS"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",  # noqa: S607
         "-nodes", "-days", "365", "-subj", f"/CN={host}",
         "-addext", f"subjectAltName={kind}:{host},DNS:localhost,IP:127.0.0.1",
         "-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    main(root)
    certify(root / "tls", sys.argv[1] if len(sys.argv) > 1 else "localhost")
