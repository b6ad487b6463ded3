"""`make secrets`: write .env from .env.example with random secrets, and leave one that is there alone."""

import base64
import os
import secrets
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


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[2])
