"""What every form of a batch shares: its limits, the pieces it is cut into, and how a row is read as a request."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import ValidationError

from meteo.errors import InvalidInput
from meteo.schemas.forecasts import BatchError, Prediction, PredictRequest
from meteo.schemas.problems import field_errors

MOST_ROWS = 100_000
MOST_ROW_BYTES = 65_536
PIECE_ROWS = 500
PIECE_BYTES = 131_072
MOST_KEYS, MOST_ERRORS = 100, 25
"""A row of more keys is refusal unread; so many of its errors are told: each column's, and a few of unknown keys."""
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
Rows = Sequence[Any]
Answers = Sequence[Prediction | BatchError]


class Piece(NamedTuple):
    """Rows that follow one another: where they lie in the body, and how many they are."""

    start: int
    end: int
    rows: int


class Writer(Protocol):
    """How answers are written: `head`, then the pieces with `between` between them, then `tail`."""

    media_type: ClassVar[str]
    between: ClassVar[bytes]
    tail: ClassVar[bytes]

    @property
    def head(self) -> bytes: ...

    def write(self, rows: Rows, answers: Answers) -> bytes: ...


class Given(Protocol):
    """A batch as it was sent, cut into pieces."""

    pieces: list[Piece]

    @property
    def count(self) -> int:
        """How many rows it has."""
        return sum(piece.rows for piece in self.pieces)

    def rows(self, piece: Piece) -> Rows: ...

    def writer(self, accept: str) -> Writer: ...


@dataclass
class PieceCutter:
    """Puts rows together to pieces, none of which is long."""

    _pieces: list[Piece] = field(default_factory=list)
    _count: int = 0

    def add(self, start: int, end: int) -> None:
        self._count += 1
        if self._count > MOST_ROWS:
            raise not_a_batch(f"more than {MOST_ROWS:,} rows; 1 to {MOST_ROWS:,} are answered at once")
        last = self._pieces[-1] if self._pieces else None
        if last is not None and last.rows < PIECE_ROWS and end - last.start <= PIECE_BYTES:
            self._pieces[-1] = Piece(last.start, end, last.rows + 1)
        else:
            self._pieces.append(Piece(start, end, 1))

    def pieces(self) -> list[Piece]:
        if not self._pieces:
            raise not_a_batch(f"0 rows; 1 to {MOST_ROWS:,} are answered at once")
        return self._pieces


def parsed(row: Any) -> PredictRequest | BatchError:
    """One row as a request, or what is wrong with it."""
    for part in (row, row.get("observation") if isinstance(row, dict) else None):
        if isinstance(part, dict) and len(part) > MOST_KEYS:
            return refusal([("body", f"more than {MOST_KEYS} keys")])
    if isinstance(row, dict) and isinstance(row.get("date"), str) and _DATE.fullmatch(row["date"]):
        with suppress(ValueError):  # such as 30 February: validation names it
            row = {**row, "date": date.fromisoformat(row["date"])}
    try:
        return PredictRequest.model_validate(row)
    except ValidationError as error:
        return refusal(field_errors(list(error.errors(include_input=False, include_url=False, include_context=False))))


def refusal(errors: Sequence[tuple[str, str]]) -> BatchError:
    detail = "; ".join(f"{field}: {message}" for field, message in errors[:5])
    told = [{"field": field, "message": message} for field, message in errors[:MOST_ERRORS]]
    return BatchError(detail=detail, errors=told)


def not_a_batch(message: str) -> InvalidInput:
    return InvalidInput(f"body: {message}", [("body", message)])
