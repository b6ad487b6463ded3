"""Files exactly as received, kept for good: compressed, named by the SHA-256 of their bytes."""

import gzip
import hashlib
import os
from pathlib import Path


class Landing:
    """A folder of landed files: ab/abcdef....gz for content whose digest is abcdef..."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes) -> str:
        """Store `content` unless it is there already; its digest. A crash leaves no half-written file."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            with temporary.open("wb") as file:
                file.write(gzip.compress(content, mtime=0))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        return digest

    def read(self, digest: str) -> bytes:
        """The bytes as they were received."""
        return gzip.decompress(self._path(digest).read_bytes())

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.gz"
