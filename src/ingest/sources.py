"""Where observations come from, and files at hand as such a source; BOM itself is `ingest.bom_source`."""

import io
from collections import Counter
from collections.abc import Callable, Container, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from meteo.archive.uploads import Uploads
from meteo.errors import InvalidInput


@dataclass(frozen=True)
class RawFile:
    """A file as received; `product` is what it was asked for as (empty for a file at hand)."""

    name: str
    open: Callable[[], IO[bytes]]
    product: str = ""
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class NotModified:
    """A file that has not changed since it was read last."""

    name: str


@dataclass(frozen=True)
class Missing:
    """A file that was asked for and cannot be had, and what the source said."""

    name: str
    reason: str


@dataclass(frozen=True)
class Done:
    """A file that this run has read already, before it was broken off."""

    name: str


Found = RawFile | NotModified | Missing | Done


@dataclass(frozen=True)
class Known:
    """What the server said of a file when it was stored last."""

    etag: str | None
    last_modified: str | None


class Source(Protocol):
    """Yields files one after the other; `total` says how many there are. `done` are those the run need not have again,
    by name; `known` tells what is stored of a file of that name."""

    total: int

    def files(self, done: Container[str], known: Callable[[str], Known | None]) -> Generator[Found]: ...


class FileSource:
    """Files and whole folders on this machine."""

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise InvalidInput(
                "source 'file' needs --path (or METEO_INGEST__PATHS): a file or a folder", [("path", "missing")]
            )
        for path in paths:
            if not path.exists():
                raise InvalidInput(f"path: {path} does not exist", [("path", "does not exist")])
        files: list[tuple[str, Path]] = [
            (below.relative_to(path).as_posix(), below)
            for path in paths
            if path.is_dir()
            for below in _files_below(path)
        ]
        files += [(path.name, path) for path in paths if not path.is_dir()]
        often = Counter(name for name, _ in files)
        self._paths = {path.as_posix() if often[name] > 1 else name: path for name, path in files}
        self.total = len(self._paths)

    def files(self, done: Container[str], known: Callable[[str], Known | None]) -> Generator[Found]:
        """All of them: whether a file at hand is done its bytes tell, not its name."""
        for name, path in self._paths.items():
            yield RawFile(name, lambda path=path: path.open("rb"))  # type: ignore[misc]


class UploadSource:
    """Files that people have handed in and nobody has read yet."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads
        self._waiting = uploads.waiting()
        self.total = len(self._waiting)
        if not self.total:
            raise InvalidInput("source 'upload': no file waits; hand one in first", [("source", "no file waits")])

    def files(self, done: Container[str], known: Callable[[str], Known | None]) -> Generator[Found]:
        """All of them; one whose turn is over has been read, stored or refused, and waits no more."""
        for upload in self._waiting:
            yield RawFile(upload.name, lambda upload=upload: io.BytesIO(self._uploads.content(upload)))  # type: ignore[misc]
            self._uploads.read(upload)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith((".csv", ".csv.gz")))
