"""What a model was made of: the version of its data, and the commit of its code."""

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from meteo.runtime.logs import logger
from meteo.runtime.settings import TRAINING, config_file


def data_version(workspace: Path) -> str:
    """The MD5 that dvc.lock gives the folder that training reads: one for all that is in it."""
    lock = yaml.safe_load((workspace / "dvc.lock").read_text(encoding="utf-8"))
    versions = {out["path"]: out["md5"] for out in lock["stages"]["features"]["outs"]}
    version: str = versions[TRAINING]
    return version


def git_commit() -> str:
    """The commit this runs from: METEO_GIT_COMMIT (images), else what git says of the checkout, else "unknown", with a
    warning."""
    commit = os.environ.get("METEO_GIT_COMMIT") or _checked_out() or "unknown"
    if commit == "unknown":
        logger().warning("the model's card will not name its code: set METEO_GIT_COMMIT, in images by REVISION")
    return commit


def _checked_out() -> str:
    if shutil.which("git") is None:
        return ""
    config = config_file()
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607
        cwd=config.parent if config else None,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
