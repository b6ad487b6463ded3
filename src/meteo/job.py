"""What every command-line job does alike: progress on stderr, one JSON summary as the last line of stdout."""

import errno
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from meteo import logs, metrics
from meteo.errors import MeteoError
from meteo.settings import Settings

Summary = Mapping[str, Any]


def _nothing(_: Summary) -> list[metrics.Reading]:
    return []


def run(
    name: str, settings: Settings, work: Callable[[], Summary],
    readings: Callable[[Summary], Iterable[metrics.Reading]] = _nothing,
) -> None:  # fmt: skip
    """Do `work` and print its summary; an error of ours prints its sentence, a failed summary, and exits with 1.

    Either way a metrics file of `settings.job_metrics` tells it, with the `readings` of what was found.
    """
    logs.configure(name, settings.log_level)
    started = time.monotonic()
    try:
        summary = {"job": name, "state": "success", **work()}
        metrics.job_succeeded(settings.job_metrics, name, time.monotonic() - started, readings(summary))
    except MeteoError as error:
        _fail(name, settings, error.detail)
    except Exception as error:
        logs.logger().exception("job failed")
        _fail(name, settings, _sentence(error))
    print(json.dumps(summary, default=str))  # noqa: T201


def _fail(name: str, settings: Settings, sentence: str) -> NoReturn:
    try:
        metrics.job_failed(settings.job_metrics, name)
    except OSError as error:
        print(f"{name}: the metrics could not be written either: {error}", file=sys.stderr)  # noqa: T201
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
