"""Files -> rows of the schema: weatherAUS.csv(.gz) and BOM's month files, read by header names, in chunks.

A file that is not what it should be raises UnreadableFile; a row that cannot be read is quarantined with the reason.
"""

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from meteo.errors import UnreadableFile
from meteo.merge import Batch, Quarantined
from meteo.observation import FIELDS, Observations
from meteo.station import Station, by_product, stations

READER = 1
"""Raised when the parser or the checks read the same bytes differently: what was stored is then read again."""

CHUNK_ROWS = 20_000
HISTORY = "weatherAUS"

_LINE_LIMIT = 10_000
_PREAMBLE_LINES = 60
_TOLERATED = 1000
"""So many unreadable rows are quarantined one by one; a file with more, and more than half unreadable, is refused."""

_PRODUCT = re.compile(r"\bIDCJDW\d{4}(?=\.\d{6}\b)")
_DAY = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})")
_MISSING_DAY = np.datetime64("NaT", "D")
_GUST_TIME = "Time of maximum wind gust"
_IGNORED = {"", "RainToday", "RainTomorrow", "RISK_MM"}
_UNITS = {"°C": {"C"}, "h": {"hours", "h"}, "": {""}}
"""A header's unit as its ASCII letters, so that a degree sign garbled by an encoding does no harm."""


@dataclass(frozen=True)
class Columns:
    """Where the schema's columns stand in a file's rows, and which of its headers are unknown."""

    width: int
    day: int
    station: int | None
    fields: Sequence[int]
    unknown: Sequence[str]


class Reading:
    """One file's rows, in chunks of at most `chunk_rows`.

    `open` gives the bytes as received, from their beginning, each time it is called. `product` is the BOM product the
    file was asked for as: one that says it is another is refused. `unknown` headers are known once reading has begun.
    """

    def __init__(
        self, open: Callable[[], IO[bytes]], name: str, product: str = "", chunk_rows: int = CHUNK_ROWS
    ) -> None:
        self._open = open
        self._name = name
        self._asked = product
        self._chunk_rows = chunk_rows
        self.unknown: Sequence[str] = ()
        self.total = 0
        self._refused = 0

    def __iter__(self) -> Iterator[Batch]:
        self.total = self._refused = 0
        repeated = self._repeated() if self._spans_chunks() else frozenset()
        held: list[tuple[int, list[str]]] = []
        with self._table() as (columns, place, product, rows):
            self.unknown = columns.unknown
            while chunk := list(itertools.islice(rows, self._chunk_rows)):
                if repeated:
                    held += [row for row in chunk if self._key(row[1], columns) in repeated]
                    chunk = [row for row in chunk if self._key(row[1], columns) not in repeated]
                yield self._batch(chunk, columns, place, product)
            if held:
                yield self._batch(held, columns, place, product)
            if not self.total:
                raise UnreadableFile(f"{self._name} has a header and no rows")

    def _spans_chunks(self) -> bool:
        with self._table() as (_, _, _, rows):
            return next(itertools.islice(rows, self._chunk_rows, None), None) is not None

    def _repeated(self) -> frozenset[tuple[str, str]]:
        """Station-days that stand more than once, as written: a first pass over the two columns finds those in
        different chunks, which the main pass puts side by side."""
        seen: dict[str, bytearray] = {}
        repeated = set()
        with self._table() as (columns, _, _, rows):
            for _, cells in rows:
                place, day = key = self._key(cells, columns)
                number = _ordinal(day)
                days = seen.setdefault(place, bytearray(1 << 14))
                if number and days[number >> 3] & 1 << (number & 7):
                    repeated.add(key)
                days[number >> 3] |= 1 << (number & 7)
        return frozenset(repeated)

    @staticmethod
    def _key(cells: Sequence[str], columns: Columns) -> tuple[str, str]:
        if len(cells) != columns.width:
            return "", ""
        return ("" if columns.station is None else cells[columns.station].strip()), cells[columns.day].strip()

    @contextmanager
    def _table(self) -> Iterator[tuple[Columns, Station | None, str, Iterator[tuple[int, list[str]]]]]:
        """The columns, the month file's station (None: each row names its own), the product, and the numbered rows."""
        try:
            with self._open() as raw, io.BufferedReader(raw, 1 << 16) as buffered:  # type: ignore[type-var]
                lines = _lines(buffered, self._name)
                preamble, header = self._header(lines)
                cells = _cells([header])
                columns = self._columns(cells)
                place, product = (None, HISTORY) if columns.station is not None else self._identity(preamble)
                numbered = enumerate((_trimmed(row, columns.width) for row in csv.reader(lines)), len(preamble) + 2)
                yield columns, place, product, ((n, row) for n, row in numbered if row and row != cells)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFile(f"{self._name} is damaged or cut off: {error}") from error
        except csv.Error as error:
            raise UnreadableFile(f"{self._name} is not a table of comma-separated values: {error}") from error

    def _header(self, lines: Iterator[str]) -> tuple[list[str], str]:
        """The lines above the header, and the header."""
        preamble: list[str] = []
        for line in itertools.islice(lines, _PREAMBLE_LINES):
            if line.lstrip()[:1] == "<":
                raise UnreadableFile(
                    f"{self._name} is a web page, not a data file; the source may be refusing programs"
                )
            names = {_plain(cell) for cell in _cells([line])}
            if "Date" in names and names & {"MinTemp", "Location", "Minimum temperature", "Rainfall"}:
                return preamble, line
            preamble.append(line)
        if not any(line.strip() for line in preamble):
            raise UnreadableFile(f"{self._name} is empty")
        raise UnreadableFile(
            f"{self._name} has no header line with Date and the fields: neither a BOM month file nor weatherAUS"
        )

    def _columns(self, header: Sequence[str]) -> Columns:
        plain = [_plain(cell) for cell in header]
        station = plain.index("Location") if "Location" in plain else None
        wanted = {"Date": "Date"} | {field.name: field.bom if station is None else field.history for field in FIELDS}
        absent = [name for name in wanted.values() if name not in plain]
        if absent:
            raise UnreadableFile(f"{self._name} lacks the column(s) {', '.join(absent)}; it has {_listed(plain)}")
        for name in wanted.values():
            if plain.count(name) > 1:
                raise UnreadableFile(f"{self._name} has the column {name} more than once")
        places = [plain.index(wanted[field.name]) for field in FIELDS]
        for field, place in zip(FIELDS, places, strict=True):
            unit = re.search(r"\((.*)\)", header[place])
            said = re.sub(r"[^!-~]", "", unit[1]) if unit else ""
            if said and said not in _UNITS.get(field.unit, {field.unit}):
                raise UnreadableFile(
                    f"{self._name} gives {plain[place]} in {said}; {field.unit or 'no unit'} is needed"
                )
        known = {*wanted.values(), "Location", _GUST_TIME, *_IGNORED}
        unknown = [name for name in plain if name not in known and not name.startswith("Unnamed")]
        return Columns(len(header), plain.index("Date"), station, places, unknown)

    def _identity(self, preamble: Sequence[str]) -> tuple[Station, str]:
        """The station and product of a month file, by what it says, its name, and what it was asked for as."""
        said, named = _PRODUCT.search("\n".join(preamble)), _PRODUCT.search(self._name)
        claims = [claim for claim in (said and said.group(), named and named.group(), self._asked) if claim]
        product = claims[0] if claims else ""
        other = next((claim for claim in claims if claim != product), None)
        if other:
            raise UnreadableFile(f"{self._name} says it is {product}, not {other}")
        place = by_product().get(product)
        if place is None:
            raise UnreadableFile(
                f"{self._name} is of BOM product {product or '(none named)'}, which belongs to none of the stations; "
                "a file without BOM's first lines must keep its name, such as IDCJDW2124.202305.csv"
            )
        return place, product

    def _batch(
        self, rows: Sequence[tuple[int, list[str]]], columns: Columns, place: Station | None, product: str
    ) -> Batch:
        whole = [cells for _, cells in rows if len(cells) == columns.width]
        refused = [
            self._odd(number, cells, columns, place) for number, cells in rows if len(cells) != columns.width
        ]  # fmt: skip
        observations, unreadable = self._values(whole, columns, place)
        refused += unreadable
        self.total += len(rows)
        self._refused += len(refused)
        if self._refused > _TOLERATED and self._refused > self.total / 2:
            raise UnreadableFile(f"more than half of the rows of {self._name} cannot be read; {refused[0].reason}")
        return Batch(observations, product, refused)

    def _values(
        self, rows: Sequence[Sequence[str]], columns: Columns, place: Station | None
    ) -> tuple[Observations, list[Quarantined]]:
        cells = list(zip(*rows, strict=True)) if rows else [()] * columns.width
        name = [place.name] * len(rows) if place else [cell.strip() for cell in cells[columns.station or 0]]
        days = _Reader(_read_day)
        day = np.array([days[cell] for cell in cells[columns.day]], "datetime64[D]")
        wrong: dict[int, list[tuple[str, str]]] = {row: [("date", days.problems[cells[columns.day][row]])]
                                                   for row in np.flatnonzero(np.isnat(day)).tolist()}  # fmt: skip
        for row, given in enumerate(name):
            if given not in stations():
                wrong.setdefault(row, []).append(("station", f"{given[:32]!a} is not one of the known stations"))
        values = np.empty((len(rows), len(FIELDS)))
        for index, (field, column) in enumerate(zip(FIELDS, columns.fields, strict=True)):
            reader = _Reader(field.read)
            values[:, index] = [reader[cell] for cell in cells[column]]
            if reader.problems:
                for row, cell in enumerate(cells[column]):
                    if cell in reader.problems:
                        wrong.setdefault(row, []).append((field.name, reader.problems[cell]))
        good = np.ones(len(rows), dtype=bool)
        good[list(wrong)] = False
        kept = Observations(np.array(name, dtype=str), day, values)[good]
        return kept, [
            Quarantined(
                name[row], None if np.isnat(day[row]) else day[row].item(),
                "; ".join(f"{field}: {text}" for field, text in wrong[row]), [field for field, _ in wrong[row]],
                _as_read(rows[row], columns),
            )
            for row in sorted(wrong)
        ]  # fmt: skip

    def _odd(self, number: int, cells: Sequence[str], columns: Columns, place: Station | None) -> Quarantined:
        reason = f"date: line {number} has {len(cells)} cells where the header has {columns.width}; cut off or broken"
        row = {f"cell {index}": cell[:100] for index, cell in enumerate(cells[: columns.width])}
        return Quarantined(place.name if place else "", None, reason, ["date"], row)


def read_file(path: Path) -> Observations:
    """All readable rows of a file, in its order."""
    return Observations.concatenate([batch.observations for batch in Reading(lambda: path.open("rb"), path.name)])


class _Reader(dict[str, "float | np.datetime64"]):
    """Reads each distinct text once; `problems` says what is wrong with those that cannot be read (NaN, NaT)."""

    def __init__(self, read: "Callable[[str], float] | Callable[[str], np.datetime64]") -> None:
        super().__init__()
        self._read = read
        self.problems: dict[str, str] = {}

    def __missing__(self, text: str) -> "float | np.datetime64":
        value: float | np.datetime64
        try:
            value = self._read(text)
        except ValueError as error:
            value = _MISSING_DAY if self._read is _read_day else float("nan")
            self.problems[text] = str(error)
        self[text] = value
        return value


def _read_day(text: str) -> np.datetime64:
    found = _DAY.fullmatch(text.strip())
    try:
        return np.datetime64(date(*(int(part) for part in found.groups())), "D") if found else _no_day(text)
    except ValueError:
        return _no_day(text)


def _no_day(text: str) -> np.datetime64:
    raise ValueError(f"{text[:20]!a} is not a day written YYYY-MM-DD")


@lru_cache(maxsize=200_000)
def _ordinal(text: str) -> int:
    """The day's place in a row of 2**17 bits that begins in 1850; 0 for what is none of its days."""
    try:
        number = int(_read_day(text).astype(int)) + 43_830
    except ValueError:
        return 0
    return number if 0 < number < 1 << 17 else 0


codecs.register_error(
    "latin-1-instead",
    lambda error: (error.object[error.start : error.end].decode("latin-1"), error.end),  # type: ignore[attr-defined]
)


def _lines(buffered: "io.BufferedReader[Any]", name: str) -> Iterator[str]:
    """The file's lines without their ends, whatever those are; bytes that are not UTF-8 are latin-1."""
    source: IO[bytes] = buffered
    if buffered.peek(2)[:2] == b"\x1f\x8b":
        source = gzip.GzipFile(fileobj=buffered, mode="rb")  # type: ignore[assignment]
    text = io.TextIOWrapper(source, encoding="utf-8-sig", errors="latin-1-instead", newline=None)
    while line := text.readline(_LINE_LIMIT):
        if len(line) == _LINE_LIMIT:
            raise UnreadableFile(f"{name} has a line of more than {_LINE_LIMIT} characters: not a data file")
        yield line.rstrip("\n")


def _cells(line: Iterable[str]) -> list[str]:
    return next(csv.reader(line), [])


def _trimmed(row: list[str], width: int) -> list[str]:
    """The row without blank cells beyond the header's; nothing of a row that is all blank."""
    if len(row) == width and row[1].strip():
        return row
    if not any(cell.strip() for cell in row):
        return []
    return row[:width] if not any(cell.strip() for cell in row[width:]) else row


def _plain(header: str) -> str:
    return header.split("(")[0].strip()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name[:30].encode("ascii", "replace").decode() for name in names if name)[:300]


def _as_read(cells: Sequence[str], columns: Columns) -> dict[str, str]:
    names: list[tuple[str, int]] = [("date", columns.day)]
    if columns.station is not None:
        names.append(("station", columns.station))
    names += [(field.name, place) for field, place in zip(FIELDS, columns.fields, strict=True)]
    return {name: cells[place][:40] for name, place in names}
