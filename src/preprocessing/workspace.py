"""The DVC workspace under METEO_HOME: the repository's dvc.yaml runs here, so that running never dirties a checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from meteo.errors import MeteoError


class Workspace:
    """A folder made by `dvc init --no-scm`, with a default remote that takes what training read.

    `environment` is what the stages' own processes need to find the same settings from another folder.
    """

    def __init__(self, folder: Path, pipeline: Path, remote: str, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._pipeline = pipeline
        self._remote = remote
        self._environment = environment

    def prepare(self, params: Mapping[str, Any]) -> None:
        """Make the workspace, or bring it up to date with the pipeline, the remote and `params`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / ".dvc").is_dir():
            self._dvc("init", "--no-scm", "--quiet")
            self._dvc("config", "core.analytics", "false")
        shutil.copyfile(self._pipeline, self.folder / "dvc.yaml")
        (self.folder / "params.yaml").write_text(yaml.safe_dump(dict(params)), encoding="utf-8")
        self._dvc("remote", "add", "--default", "--force", "--quiet", "store", self._remote)

    def reproduce(self) -> None:
        """Run the stages whose inputs changed."""
        self._dvc("repro")

    def push(self) -> None:
        """Send the files of dvc.lock to the remote; `dvc pull` with that lock brings them back."""
        self._dvc("push", "--quiet")

    def digests(self) -> dict[str, str]:
        """The MD5 of every output, by file name, as dvc.lock has it."""
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def _dvc(self, *arguments: str) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        command = [sys.executable, "-m", "dvc", *arguments]
        environment = {
            **os.environ,
            **self._environment,
            "PATH": path,
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.folder.with_name(f"{self.folder.name}-site-cache")),
        }
        done = subprocess.run(command, cwd=self.folder, env=environment, stdout=sys.stderr, check=False)
        if done.returncode:
            raise MeteoError(f"`dvc {' '.join(arguments)}` failed with exit code {done.returncode} in {self.folder}")
