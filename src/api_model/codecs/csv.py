"""Batches as tables of comma-separated values."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from api_model.codecs.json import JsonWriter
from api_model.codecs.rows import (
    MOST_ROW_BYTES,
    MOST_ROWS,
    Answers,
    Given,
    Piece,
    PieceCutter,
    Rows,
    Writer,
    not_a_batch,
)
from meteo.errors import InvalidInput
from meteo.observation import BY_NAME
from meteo.schemas.forecasts import BatchError, Prediction

CSV = "text/csv"
_ANSWER = ("prediction_id", "probability", "rain_tomorrow", "threshold", "neighbours_used")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_COLUMNS = ("station", "date", "rain_today", *BY_NAME)


class CsvWriter:
    """What was asked, with the answer beside it; `error` says why a row has none."""

    media_type: ClassVar = "text/csv; charset=utf-8"
    between: ClassVar = b""
    tail: ClassVar = b""

    def __init__(self, columns: Sequence[str]) -> None:
        self._fields = [name for name in columns if name not in ("station", "date")]

    @property
    def head(self) -> bytes:
        return _csv([["station", "date", *self._fields, *_ANSWER, "model_version", "error"]])

    def write(self, rows: Rows, answers: Answers) -> bytes:
        return _csv([self._line(row, answer) for row, answer in zip(rows, answers, strict=True)])

    def _line(self, row: Any, answer: Prediction | BatchError) -> list[Any]:
        given = [row["station"], row["date"], *(row["observation"].get(name, "") for name in self._fields)]
        if isinstance(answer, BatchError):
            return [*map(_plain, given), *[""] * (len(_ANSWER) + 1), answer.detail]
        return [*map(_plain, given), *(getattr(answer, name) for name in _ANSWER), answer.model.version, ""]


class CsvTable(Given):
    """A CSV with the columns station, date and any fields; blank cells are left out."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        lines = _Lines(body)
        records = csv.reader(lines, strict=True)
        cut, blank = PieceCutter(), 0
        try:
            self._columns = [name.strip() for name in next(records, [])]
            _require_columns(self._columns)
            lines.start = lines.end
            for cells in records:
                if cells:
                    cut.add(lines.start, lines.end)
                elif (blank := blank + 1) > MOST_ROWS:
                    raise not_a_batch(f"more than {MOST_ROWS:,} blank lines")
                lines.start = lines.end
        except (UnicodeDecodeError, csv.Error) as error:
            raise not_a_batch(f"not a CSV in UTF-8: {error}") from error
        self.pieces = cut.pieces()

    def rows(self, piece: Piece) -> list[Any]:
        text = io.StringIO(self._body[piece.start : piece.end].decode())
        readers = [(name, _Reader(name)) for name in self._columns]
        return [_request(readers, cells) for cells in csv.reader(text, strict=True) if cells]

    def writer(self, accept: str) -> Writer:
        """A table is answered by JSON unless its own form is accepted."""
        return CsvWriter(self._columns) if CSV in accept else JsonWriter()


class _Lines:
    """The lines of a CSV, as long as the row that began at `start` is not too long; `end` is where the last ended."""

    def __init__(self, body: bytes) -> None:
        self._file = io.BytesIO(body)
        self.start = self.end = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MOST_ROW_BYTES + 1)
        first, self.end = self.end == 0, self.end + len(line)
        if self.end - self.start > MOST_ROW_BYTES:
            raise not_a_batch(f"a row of more than {MOST_ROW_BYTES:,} bytes, or a quote that is not closed")
        if not line:
            raise StopIteration
        return line.decode("utf-8-sig" if first else "utf-8")


class _Reader:
    """Reads the cells of one column; what it has read once it knows, for readings repeat."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._known: dict[str, Any] = {}

    def __call__(self, cell: str) -> Any:
        if cell not in self._known:
            self._known[cell] = _value(self._name, cell.strip())
        return self._known[cell]


def _request(readers: Sequence[tuple[str, _Reader]], row: Sequence[str]) -> dict[str, Any]:
    observation = {
        name: value for (name, read), cell in zip(readers, row, strict=False) if (value := read(cell)) is not None
    }
    request = {name: observation.pop(name, "") for name in ("station", "date")}
    if len(row) > len(readers):
        request["cells"] = "more than the header has"
    return {**request, "observation": observation}


def _value(name: str, cell: str) -> Any:
    """A number or a truth where the cell is one, None where it is blank; else the text, which validation then names."""
    if not cell:
        return None
    if name == "rain_today":
        return _TRUTH.get(cell.lower(), cell)
    if name in BY_NAME and not BY_NAME[name].compass:
        try:
            value = BY_NAME[name].read(cell)
        except ValueError:
            return cell
        return None if value != value else value
    return cell


def _require_columns(header: Sequence[str]) -> None:
    repeated = sorted(name for name, count in Counter(header).items() if count > 1)
    if repeated:
        raise not_a_batch(f"columns given more than once: {_some(repeated)}")
    unknown = sorted(set(header) - set(_COLUMNS))
    if unknown or not {"station", "date"} <= set(header):
        needed = f"columns station, date and some of {', '.join(sorted(_COLUMNS[2:]))} are needed"
        raise InvalidInput(f"body: {needed}; unknown: {_some(unknown) or 'none'}", [("body", needed)])


def _some(names: Sequence[str]) -> str:
    return ", ".join(name[:64] for name in names[:5])


def _csv(lines: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode()


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a cell for a formula (OWASP), full-width forms included."""


def _plain(cell: Any) -> Any:
    """A text cell that a spreadsheet would not take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
