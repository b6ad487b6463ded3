"""Programs that live on another day: `python simulated_time.py PROGRAM.py …` starts one that can move the clock by
which it and all that it starts live.

Debian's libfaketime 0.9.10 does not do: under it Python's `time.sleep` fails, or its queues wait for ever.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
VARIABLE = "SIMULATED_TIME"


class Clock:
    """The clock of this program and of all that it starts."""

    def __init__(self) -> None:
        if VARIABLE not in os.environ:
            sys.exit(f"this needs a clock that can be moved: python {__file__} PROGRAM.py …")
        self._path = Path(os.environ[VARIABLE])

    def move(self, present: datetime) -> None:
        """Make it that instant now, for everybody; from there time passes as ever."""
        (ahead,) = struct.unpack("=q", self._path.read_bytes())
        moved = ahead + round(present.timestamp() - time.time())
        with self._path.open("r+b") as file:  # in one write, in place: others have it mapped
            file.write(struct.pack("=q", moved))

    def remove(self) -> None:
        """Once nobody lives by it any more."""
        shutil.rmtree(self._path.parent)


def main() -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("simulated time needs a C compiler: apt-get install gcc libc6-dev")
    folder = Path(tempfile.mkdtemp(prefix="simulated-time-"))
    library, clock = folder / "simulated_time.so", folder / "seconds_ahead"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)], check=True)
    clock.write_bytes(struct.pack("=q", 0))
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        VARIABLE: str(clock),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",  # there is a program for each core
    }
    os.execve(sys.executable, [sys.executable, *sys.argv[1:]], environment)  # noqa: S606


if __name__ == "__main__":
    main()
