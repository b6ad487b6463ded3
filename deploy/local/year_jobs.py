"""The jobs that Airflow's DAGs name, each in a process forked from one that has imported everything: starting Python
would take most of the time."""

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import alembic.command
import alembic.config
import matplotlib.pyplot
import onnxruntime

import gateway.housekeeping
import ingest.__main__
import monitoring.__main__
import preprocessing.__main__
import train.cli

BEFOREHAND = (alembic.command, alembic.config, matplotlib.pyplot, onnxruntime)
"""What jobs import late: a forked one finds it there."""

DOORS: dict[str, Callable[[], object]] = {
    "ingest": ingest.__main__.app, "preprocessing": preprocessing.__main__.app, "train": train.cli.app,
    "monitoring": monitoring.__main__.app, "gateway.housekeeping": gateway.housekeeping.main,
}  # fmt: skip
"""What `python -m NAME` calls."""

DAILY = ("ingest", "monitoring")
HOUSEKEEPING = ("monitoring housekeeping", "ingest housekeeping", "train housekeeping", "gateway.housekeeping")
"""At work together, after the monitoring."""
DATA = "preprocessing housekeeping"
"""After them: it waits for the models'."""
TRAINING = ("preprocessing", "train --run {run}", "train promote --run {run}", "train reload", "train smoke")


class Job:
    """A command of a package, at work in a process that begins with everything imported."""

    running: ClassVar[set[int]] = set()

    def __init__(self, command: str) -> None:
        self.command = command
        self._began = time.monotonic()
        self._output = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - until it was waited for
        sys.stdout.flush()
        self._pid = os.fork()
        if not self._pid:
            self._work()
        self.running.add(self._pid)

    def _work(self) -> NoReturn:
        code: Any = 1
        try:
            os.setpgid(0, 0)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            for stream in (1, 2):
                os.dup2(self._output.fileno(), stream)
            package, *arguments = self.command.split()
            os.environ["METEO_SECRETS"] = f"{os.environ['JOB_SECRETS']}/{package}"
            sys.argv = [package, *arguments]
            DOORS[package]()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code if isinstance(code, int) else 1)

    def wait(self) -> dict[str, Any]:
        """Its summary once it has ended, with `seconds` and those of a `processor`; SystemExit with its output where it
        failed."""
        _, status, used = os.wait4(self._pid, 0)
        self.running.discard(self._pid)
        self._output.seek(0)
        text = self._output.read()
        self._output.close()
        if status:
            sys.exit(f"`python -m {self.command}` failed:\n{text[-4000:]}")
        summary: dict[str, Any] = json.loads(text.splitlines()[-1])
        processor = used.ru_utime + used.ru_stime
        return summary | {"seconds": time.monotonic() - self._began, "processor": processor}

    @classmethod
    def end_all(cls) -> None:
        """End those that are at work, with what they started."""
        for pid in cls.running:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
