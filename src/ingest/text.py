"""A source file's bytes as lines of text."""

import codecs
import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any

from meteo.errors import UnreadableFile

_LINE_LIMIT = 10_000
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


codecs.register_error(
    "latin-1-instead",
    lambda error: (error.object[error.start : error.end].decode("latin-1"), error.end),  # type: ignore[attr-defined]
)


def lines_of(buffered: "io.BufferedReader[Any]", name: str) -> Iterator[str]:
    """The file's lines without their ends, whatever those are; bytes that are not UTF-8 are latin-1, and control
    characters, of which PostgreSQL takes no NUL, are replaced, so that their cell is refused."""
    source: IO[bytes] = buffered
    if buffered.peek(2)[:2] == b"\x1f\x8b":
        source = gzip.GzipFile(fileobj=buffered, mode="rb")  # type: ignore[assignment]
    text = io.TextIOWrapper(source, encoding="utf-8-sig", errors="latin-1-instead", newline=None)
    while line := text.readline(_LINE_LIMIT):
        if len(line) == _LINE_LIMIT:
            raise UnreadableFile(f"{name} has a line of more than {_LINE_LIMIT} characters: not a data file")
        yield _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", line.rstrip("\n"))


def split_line(line: Iterable[str]) -> list[str]:
    return next(csv.reader(line), [])
