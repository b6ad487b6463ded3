"""What every command-line job does alike: progress on stderr, one JSON summary as the last line of stdout."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from meteo import logs
from meteo.errors import MeteoError


def run(name: str, level: str, work: Callable[[], Mapping[str, Any]]) -> None:
    """Do `work` and print its summary; an error of ours prints its sentence, a failed summary, and exits with 1."""
    logs.configure(name, level)
    try:
        summary = {"job": name, "state": "success", **work()}
    except MeteoError as error:
        print(f"{name}: {error.detail}", file=sys.stderr)  # noqa: T201
        print(json.dumps({"job": name, "state": "failed", "error": error.detail}))  # noqa: T201
        sys.exit(1)
    print(json.dumps(summary, default=str))  # noqa: T201
