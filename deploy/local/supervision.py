"""supervisord, spoken to over its socket."""

import subprocess
import time
import xmlrpc.client
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

CONFIG = Path(__file__).with_name("supervisord.conf")


class Supervision:
    def __init__(self, socket: Path, environment: Mapping[str, str]) -> None:
        self._socket = socket
        self._environment = environment

    @property
    def _rpc(self) -> Any:
        """A connection of its own for each call: one that failed cannot be used again."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://supervisor", transport=transport).supervisor

    @property
    def running(self) -> bool:
        try:
            return bool(self._rpc.getState()["statename"] == "RUNNING")
        except OSError:
            return False

    def start(self) -> None:
        """Start supervisord unless it runs."""
        if self.running:
            return
        command = [f"{self._environment['METEO_BIN']}/supervisord", "--configuration", str(CONFIG)]
        subprocess.run(command, env=dict(self._environment), check=True, cwd=self._environment["METEO_HOME"])
        deadline = time.monotonic() + 15
        while not self.running:
            if time.monotonic() > deadline:
                raise TimeoutError("supervisord did not start within 15 s; see logs/supervisord.log")
            time.sleep(0.1)

    def states(self) -> dict[str, dict[str, Any]]:
        """Each program's state and process id; empty when nothing runs."""
        return {entry["name"]: entry for entry in self._rpc.getAllProcessInfo()} if self.running else {}

    def start_program(self, name: str) -> None:
        """Start one program unless it runs."""
        if self.states()[name]["statename"] not in ("RUNNING", "STARTING"):
            self._rpc.startProcess(name, False)

    def shutdown(self) -> None:
        """Stop every program and supervisord, and wait until they are gone; harmless when nothing runs."""
        if not self.running:
            return
        process = psutil.Process(self._rpc.getPID())
        self._rpc.shutdown()
        process.wait(timeout=60)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children, MB (shared pages counted in each)."""
    try:
        parent = psutil.Process(pid)
        return float(sum(each.memory_info().rss for each in [parent, *parent.children(recursive=True)]) / 1e6)
    except psutil.NoSuchProcess:
        return 0.0
