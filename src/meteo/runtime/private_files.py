"""What this product writes is for the account that it runs as, and for nobody else on the machine."""

import os
import stat
from pathlib import Path

UMASK = 0o077


def keep_private(folder: Path) -> None:
    """Make `folder`, which only its owner can enter; what this process makes from here on only its owner can read.

    A folder that another account owns, such as a mounted volume, keeps the mode that it was given.
    """
    os.umask(UMASK)
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_uid == os.getuid():
        folder.chmod(stat.S_IRWXU)


def tighten(folder: Path) -> None:
    """Take from group and others what they may do with anything below `folder`, which need not be there."""
    for place, _, files in os.walk(folder):
        for path in (Path(place), *(Path(place, name) for name in files)):
            mode = path.lstat().st_mode
            if mode & UMASK and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~UMASK)
