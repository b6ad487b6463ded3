"""What every command-line job does alike: progress on stderr, one JSON summary as the last line of stdout."""

import errno
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from meteo import logs
from meteo.errors import MeteoError


def run(name: str, level: str, work: Callable[[], Mapping[str, Any]]) -> None:
    """Do `work` and print its summary; an error of ours prints its sentence, a failed summary, and exits with 1."""
    logs.configure(name, level)
    try:
        summary = {"job": name, "state": "success", **work()}
    except MeteoError as error:
        _fail(name, error.detail)
    except Exception as error:
        logs.logger().exception("job failed")
        _fail(name, _sentence(error))
    print(json.dumps(summary, default=str))  # noqa: T201


def _fail(name: str, sentence: str) -> NoReturn:
    print(f"{name}: {sentence}", file=sys.stderr)  # noqa: T201
    print(json.dumps({"job": name, "state": "failed", "error": sentence}))  # noqa: T201
    sys.exit(1)


def _sentence(error: BaseException) -> str:
    """A full disk is the one fault that an operator meets and mends; anything else is named as it is."""
    causes = [error, error.__cause__, getattr(error, "orig", None)]
    full = any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in causes)
    if full or "disk is full" in str(error):
        return "the disk is full; nothing that was stored is lost: make room and run it again, it goes on from there"
    return f"{type(error).__name__}: {error}"
