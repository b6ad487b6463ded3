"""Files exactly as received, kept as long as a replay needs them: compressed, named by the SHA-256 of their bytes."""

import gzip
import hashlib
import os
import re
from collections.abc import Set
from pathlib import Path
from typing import IO, cast

_PIECE = 1 << 18
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Landing:
    """A folder of landed files: ab/abcdef....gz for content whose digest is abcdef..."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: IO[bytes]) -> tuple[str, int]:
        """Store `content` unless it is there already; its digest and size. A crash leaves no half-written file."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{os.getpid()}.tmp"
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("wb") as file:
                with gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="", compresslevel=6) as packed:
                    while piece := content.read(_PIECE):
                        digest.update(piece)
                        size += len(piece)
                        packed.write(piece)
                path = self._path(digest.hexdigest())
                if not path.exists():
                    file.flush()
                    os.fsync(file.fileno())
                    path.parent.mkdir(exist_ok=True)
                    temporary.replace(path)
                    _fsync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def open(self, digest: str) -> IO[bytes]:
        """The bytes as they were received."""
        return cast(IO[bytes], gzip.open(self._path(digest)))

    def holds(self, digest: str) -> bool:
        return self._path(digest).exists()

    def sweep(self) -> None:
        """Remove what writers that were killed left behind; nobody else may be writing."""
        for left in self._folder.glob("*.tmp"):
            left.unlink()

    def keep_only(self, digests: Set[str]) -> tuple[int, int]:
        """Remove all other content; how many files that was, and their bytes on disk. Nobody else may be writing."""
        others = [path for path in self._folder.glob("*/*.gz") if path.name.removesuffix(".gz") not in digests]
        size = sum(path.stat().st_size for path in others)
        for path in others:
            path.unlink()
        return len(others), size

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a SHA-256")
        return self._folder / digest[:2] / f"{digest}.gz"


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
