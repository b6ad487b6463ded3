"""Files -> rows of the schema: weatherAUS.csv(.gz) and BOM's month files, read by header names, in chunks.

A file that is not what it should be raises UnreadableFile; a row that cannot be read is quarantined with the reason.
"""

import csv
import io
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ingest.cells import CellReader, day_number, read_day
from ingest.layout import Columns, columns_of, find_header, month_file_of
from ingest.text import lines_of, split_line
from meteo.archive.merge import Batch, Quarantined
from meteo.errors import UnreadableFile
from meteo.observation import FIELDS, Observations
from meteo.station import Station, stations

READER = 1
"""Raised when the parser or the checks read the same bytes differently: what was stored is then read again."""

CHUNK_ROWS = 20_000
HISTORY = "weatherAUS"
_TOLERATED = 1000
"""So many unreadable rows are quarantined one by one; a file with more, and more than half unreadable, is refused."""


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
                number = day_number(day)
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
                lines = lines_of(buffered, self._name)
                preamble, header = find_header(lines, self._name)
                cells = split_line([header])
                columns = columns_of(cells, self._name)
                place, product = (
                    (None, HISTORY) if columns.station is not None else month_file_of(preamble, self._name, self._asked)
                )
                numbered = enumerate((_trimmed(row, columns.width) for row in csv.reader(lines)), len(preamble) + 2)
                yield columns, place, product, ((n, row) for n, row in numbered if row and row != cells)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFile(f"{self._name} is damaged or cut off: {error}") from error
        except csv.Error as error:
            raise UnreadableFile(f"{self._name} is not a table of comma-separated values: {error}") from error

    def _batch(
        self, rows: Sequence[tuple[int, list[str]]], columns: Columns, place: Station | None, product: str
    ) -> Batch:
        whole = [cells for _, cells in rows if len(cells) == columns.width]
        refused = [self._odd(number, cells, columns, place) for number, cells in rows if len(cells) != columns.width]
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
        days = CellReader(read_day)
        day = np.array([days[cell] for cell in cells[columns.day]], "datetime64[D]")
        wrong: dict[int, list[tuple[str, str]]] = {
            row: [("date", days.problems[cells[columns.day][row]])] for row in np.flatnonzero(np.isnat(day)).tolist()
        }
        for row, given in enumerate(name):
            if given not in stations():
                wrong.setdefault(row, []).append(("station", f"{given[:32]!a} is not one of the known stations"))
        values = np.empty((len(rows), len(FIELDS)))
        for index, (field, column) in enumerate(zip(FIELDS, columns.fields, strict=True)):
            reader = CellReader(field.read)
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
                name[row],
                None if np.isnat(day[row]) else day[row].item(),
                "; ".join(f"{field}: {text}" for field, text in wrong[row]),
                [field for field, _ in wrong[row]],
                _as_read(rows[row], columns),
            )
            for row in sorted(wrong)
        ]

    def _odd(self, number: int, cells: Sequence[str], columns: Columns, place: Station | None) -> Quarantined:
        reason = f"date: line {number} has {len(cells)} cells where the header has {columns.width}; cut off or broken"
        row = {f"cell {index}": cell[:100] for index, cell in enumerate(cells[: columns.width])}
        return Quarantined(place.name if place else "", None, reason, ["date"], row)


def read_file(path: Path) -> Observations:
    """All readable rows of a file, in its order."""
    return Observations.concatenate([batch.observations for batch in Reading(lambda: path.open("rb"), path.name)])


def _trimmed(row: list[str], width: int) -> list[str]:
    """The row without blank cells beyond the header's; nothing of a row that is all blank."""
    if len(row) == width and row[1].strip():
        return row
    if not any(cell.strip() for cell in row):
        return []
    return row[:width] if not any(cell.strip() for cell in row[width:]) else row


def _as_read(cells: Sequence[str], columns: Columns) -> dict[str, str]:
    names: list[tuple[str, int]] = [("date", columns.day)]
    if columns.station is not None:
        names.append(("station", columns.station))
    names += [(field.name, place) for field, place in zip(FIELDS, columns.fields, strict=True)]
    return {name: cells[place][:40] for name, place in names}
