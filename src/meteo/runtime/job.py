"""What every command-line job does alike: progress on stderr, one JSON summary as the last line of stdout."""

import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from meteo.errors import MeteoError
from meteo.runtime import job_metrics, logs
from meteo.runtime.private_files import keep_private
from meteo.runtime.settings import MLFLOW_USER, Mlflow, Settings

Summary = Mapping[str, Any]


def _nothing(_: Summary) -> list[job_metrics.Reading]:
    return []


def run(
    name: str,
    settings: Settings,
    work: Callable[[], Summary],
    readings: Callable[[Summary], Iterable[job_metrics.Reading]] = _nothing,
) -> None:
    """Do `work` and print its summary; an error of ours prints its sentence, a failed summary, and exits with 1.

    Either way a metrics file of `settings.job_metrics` tells it, with the `readings` of what was found.
    """
    keep_private(settings.home)
    os.environ.update(_mlflow(settings.mlflow))
    logs.configure(name, settings.log_level)
    started = time.monotonic()
    try:
        summary = {"job": name, "state": "success", **work()}
        job_metrics.job_succeeded(settings.job_metrics, name, time.monotonic() - started, readings(summary))
    except MeteoError as error:
        _fail(name, settings, error.detail)
    except Exception as error:
        logs.logger().exception("job failed")
        _fail(name, settings, _sentence(error))
    print(json.dumps(summary, default=str))  # noqa: T201


def _mlflow(mlflow: Mlflow) -> dict[str, str]:
    """How MLflow's client reads the password, and gives up in time: by itself it tries for over a quarter of an hour.
    Not by the address, which it repeats in its errors."""
    password = mlflow.password.get_secret_value()
    login = {"MLFLOW_TRACKING_USERNAME": MLFLOW_USER, "MLFLOW_TRACKING_PASSWORD": password} if password else {}
    return {
        **login,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(mlflow.timeout_seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",  # its thread changes the environment under the job
    }


def _fail(name: str, settings: Settings, sentence: str) -> NoReturn:
    try:
        job_metrics.job_failed(settings.job_metrics, name)
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
