"""The DVC workspace under METEO_HOME: the repository's dvc.yaml runs here, so that running never dirties a checkout."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import yaml

from meteo.errors import MeteoError, NotFound
from meteo.runtime.private_files import UMASK, tighten

KEPT = "kept"
"""The folder of pointers to the versions that models were made of."""


class Workspace:
    """A folder made by `dvc init --no-scm`, with a default remote that takes what training read.

    `environment` is what the stages' own processes need to find the same settings from another folder.
    """

    def __init__(
        self, folder: Path, pipeline: Path, remote: str, environment: Mapping[str, str], endpoint: str = ""
    ) -> None:
        self.folder = folder
        self._pipeline = pipeline
        self._remote = remote
        self._environment = environment
        self._endpoint = endpoint

    def prepare(self, params: Mapping[str, Any]) -> None:
        """Make the workspace, or bring it up to date with the pipeline, the remote and `params`."""
        self._connect()
        shutil.copyfile(self._pipeline, self.folder / "dvc.yaml")
        (self.folder / "params.yaml").write_text(yaml.safe_dump(dict(params)), encoding="utf-8")

    def reproduce(self) -> None:
        """Run the stages whose inputs changed."""
        self._dvc("repro")

    def push(self) -> None:
        """Send the files of dvc.lock to the remote; `dvc pull` with that lock brings them back."""
        self._dvc("push", "--quiet")

    def fetch(self, name: str, digest: str) -> Path:
        """The file or folder `name` that was pushed with that MD5, brought back into this folder; NotFound when the
        remote has none."""
        self._connect()
        pointer = self.folder / f"{name}.dvc"
        pointer.write_text(yaml.safe_dump({"outs": [{"md5": digest, "hash": "md5", "path": name}]}), encoding="utf-8")
        try:
            self._dvc("pull", "--force", pointer.name)
        except MeteoError as error:
            raise NotFound(f"{name} of version {digest} cannot be had from {self._remote}") from error
        return self.folder / name

    def _connect(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / ".dvc").is_dir():
            self._dvc("init", "--no-scm", "--quiet")
        config = ConfigParser(interpolation=None)
        config["core"] = {"no_scm": "true", "remote": "store", "analytics": "false"}
        config["'remote \"store\"'"] = {"url": self._remote} | (
            {"endpointurl": self._endpoint} if self._endpoint else {}
        )
        with (self.folder / ".dvc" / "config").open("w", encoding="utf-8") as file:
            config.write(file)

    def keep_only(self, digests: Iterable[str]) -> dict[str, int]:
        """Remove from cache and remote what neither the newest run nor one of these versions of training data needs;
        how many bytes went of each. NotFound, and nothing is removed, when one of them cannot be listed."""
        self._connect()
        wanted = sorted(set(digests))
        asked, kept = "\n".join([*wanted, (self.folder / "dvc.lock").read_text("utf-8")]), self.folder / KEPT
        done, cache, remote = kept / "done", self.folder / ".dvc" / "cache", Path(self._remote)
        if done.exists() and done.read_text("utf-8") == asked:
            return {"data cache bytes": 0, "data remote bytes": 0}
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for digest in wanted:
            pointer = kept / f"{digest}.dvc"
            pointer.write_text(yaml.safe_dump({"outs": [{"md5": digest, "hash": "md5", "path": digest}]}), "utf-8")
            # without its list DVC would take all that it lists for garbage
            listed = cache / "files" / "md5" / digest[:2] / digest[2:]
            if not listed.exists():
                self._dvc("fetch", "--quiet", f"{KEPT}/{pointer.name}")  # which succeeds where there is none
            if not listed.exists():
                raise NotFound(f"data version {digest}, which a model's card names, cannot be had from {self._remote}")
        before = _size(cache), _size(remote)
        self._dvc("gc", "--workspace", "--cloud", "--force", "--quiet")
        done.write_text(asked, "utf-8")
        return {"data cache bytes": before[0] - _size(cache), "data remote bytes": before[1] - _size(remote)}

    def versions(self) -> dict[str, str]:
        """The MD5 of every output, by name, as dvc.lock has it."""
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text(encoding="utf-8"))
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def _dvc(self, *arguments: str) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        command = [sys.executable, "-m", "dvc", *arguments]
        site_cache = self.folder.with_name(f"{self.folder.name}-site-cache")
        _own(site_cache)
        environment = {
            **os.environ,
            **self._environment,
            "PATH": path,
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(site_cache),
        }
        done = subprocess.run(command, cwd=self.folder, env=environment, stdout=sys.stderr, check=False, umask=UMASK)
        for folder in (self.folder, site_cache):  # DVC gives some of its files modes of their own
            tighten(folder)
        if done.returncode:
            raise MeteoError(f"`dvc {' '.join(arguments)}` failed with exit code {done.returncode} in {self.folder}")


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; 0 for a remote elsewhere."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _own(folder: Path) -> None:
    """A folder for what DVC unpickles, thus runs: made anew if others could enter it; MeteoError if it is not ours."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise MeteoError(f"{folder} is not a folder of this account: remove it")
    if status.st_mode & UMASK:
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
