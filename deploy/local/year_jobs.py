"""The jobs that Airflow's DAGs name, each in a process forked from one that has imported everything: starting Python
would take most of the time."""

import gc
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import alembic.command
import alembic.config
import anyio._backends._asyncio
import matplotlib.backends.backend_agg
import matplotlib.pyplot
import mlflow.pyfunc
import mlflow.tracking.request_header.databricks_request_header_provider
import mlflow.types.responses_helpers
import onnxruntime
import pyarrow.dataset
from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

import gateway.housekeeping
import ingest.__main__
import monitoring.__main__
import preprocessing.__main__
import train.cli
from meteo.runtime import http_client

BEFOREHAND = (
    alembic.command, alembic.config, anyio._backends._asyncio, matplotlib.backends.backend_agg, matplotlib.pyplot,
    mlflow.pyfunc, mlflow.tracking.request_header.databricks_request_header_provider, mlflow.types.responses_helpers,
    onnxruntime, pyarrow.dataset,
)  # fmt: skip
"""What jobs import late: a forked one finds it there."""

DOORS: dict[str, Callable[[], object]] = {
    "ingest": ingest.__main__.app, "preprocessing": preprocessing.__main__.app, "train": train.cli.app,
    "monitoring": monitoring.__main__.app, "gateway.housekeeping": gateway.housekeeping.main,
}  # fmt: skip
"""What `python -m NAME` calls."""

DAILY = (
    ("monitoring", "monitoring housekeeping"),
    ("ingest", "ingest housekeeping"),
    ("gateway.housekeeping", "train housekeeping", "preprocessing housekeeping"),
)
"""Three rows of commands beside each other: what came in the day before is looked at while the next comes in."""
OF_MODELS = ("train housekeeping", "preprocessing housekeeping")
"""Not while one is trained."""
FITTING = ("preprocessing", "train --run {run}")
RELEASE = ("train promote --run {run}", "train reload", "train smoke")

http_client.tls()
warn_dependency_requirement_mismatches(["onnx"])  # reads what every installed package says of itself
gc.freeze()  # a job that collected all this would copy it

_ENDED = "ended: "


class Job:
    """Commands of packages at work one after the other, in a process that begins with everything imported."""

    running: ClassVar[set[int]] = set()

    def __init__(self, *commands: str) -> None:
        self.commands = commands
        self._output = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - until it was waited for
        self._pid = _forked(self._work)
        self.running.add(self._pid)

    def _work(self) -> None:
        os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for stream in (1, 2):
            os.dup2(self._output.fileno(), stream)
        for command in self.commands:
            began, used = time.monotonic(), sum(os.times()[:4])
            _call(command)
            told = {
                "command": command,
                "seconds": time.monotonic() - began,
                "processor": sum(os.times()[:4]) - used,
            }
            print(_ENDED + json.dumps(told), flush=True)

    def is_done(self) -> bool:
        """Whether `wait` would not have to."""
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> list[dict[str, Any]]:
        """Each command's summary once all have ended, with the `command`, its `seconds` and those of a `processor`;
        SystemExit with the output where one failed."""
        _, status = os.waitpid(self._pid, 0)
        self.running.discard(self._pid)
        self._output.seek(0)
        text = self._output.read()
        self._output.close()
        if status:
            sys.exit(text[-4000:])
        return [
            json.loads(summary) | json.loads(ended.removeprefix(_ENDED))
            for summary, ended in pairwise(text.splitlines())
            if ended.startswith(_ENDED)
        ]

    @classmethod
    def end_all(cls) -> None:
        """End those that are at work, with what they started."""
        for pid in cls.running:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _call(command: str) -> None:
    package, *arguments = command.split()
    os.environ["METEO_SECRETS"] = f"{os.environ['JOB_SECRETS']}/{package}"
    sys.argv = [package, *arguments]
    try:
        DOORS[package]()
    except SystemExit as end:
        if end.code:
            sys.exit(f"`python -m {command}` failed: {end.code}")


def _forked(work: Callable[[], None]) -> int:
    """The number of a process that does the work and ends."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
