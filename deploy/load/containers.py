"""The containers of the compose file, from outside: their processes on this machine, what they use, how they die."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Container:
    service: str
    id: str
    pid: int

    def cpu_seconds(self) -> float:
        """Of all its processes since they began."""
        try:
            first = psutil.Process(self.pid)
            used = [process.cpu_times() for process in (first, *first.children(recursive=True))]
        except psutil.NoSuchProcess:
            return 0.0
        return float(sum(each.user + each.system for each in used))

    def kill(self) -> None:
        """As a fault does it: `docker kill` would count as an operator's wish, after which nothing starts it again."""
        os.kill(self.pid, signal.SIGKILL)


def compose(*arguments: str) -> str:
    done = subprocess.run(
        [str(REPOSITORY / "deploy/containers/compose"), *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def running() -> dict[str, Container]:
    """By service."""
    ids = compose("ps", "-q").split()
    found = {}
    for state in json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, check=True).stdout):
        if state["State"]["Running"]:
            service = state["Config"]["Labels"]["com.docker.compose.service"]
            found[service] = Container(service, state["Id"], state["State"]["Pid"])
    return found


def well(container: Container) -> bool:
    """Whether the container runs again, as another process, and says it is healthy if it can say."""
    done = subprocess.run(["docker", "inspect", container.id], capture_output=True, check=True)
    state: dict[str, Any] = json.loads(done.stdout)[0]["State"]
    again = state["Running"] and state["Pid"] not in (0, container.pid)
    return again and state.get("Health", {}).get("Status", "healthy") == "healthy"


def wait_until_well(container: Container, seconds: float) -> float:
    """How many seconds it took; TimeoutError."""
    began = time.monotonic()
    while not well(container):
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{container.service} is not well after {seconds:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


def logins() -> str:
    """The first logins, as JSON."""
    command = ["make", "--silent", "logins"]
    return subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True).stdout
