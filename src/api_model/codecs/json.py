"""Batches as JSON lists."""

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic_core import from_json

from api_model.codecs.rows import MOST_ROW_BYTES, Answers, Given, Piece, PieceCutter, Rows, Writer, not_a_batch
from meteo.http.requests import JSON


class JsonWriter:
    """A list with each row's answer or what is wrong with it."""

    media_type: ClassVar = JSON
    between: ClassVar = b","
    tail: ClassVar = b"]"
    head = b"["

    def write(self, _: Rows, answers: Answers) -> bytes:
        return b",".join(answer.model_dump_json(exclude_unset=True).encode() for answer in answers)


class JsonList(Given):
    """A JSON list of requests."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        cut = PieceCutter()
        for start, end in _elements(body):
            cut.add(start, end)
        self.pieces = cut.pieces()
        for piece in self.pieces:
            self.rows(piece)

    def rows(self, piece: Piece) -> list[Any]:
        try:
            rows: list[Any] = from_json(b"[%b]" % self._body[piece.start : piece.end], allow_inf_nan=False)
        except ValueError as error:
            raise not_a_batch(f"not JSON: {str(error).partition(' at line ')[0]}") from error
        return rows

    def writer(self, _: str) -> Writer:
        return JsonWriter()


_OPEN, _BLANK, _NEXT = re.compile(rb"[ \t\n\r]*\["), re.compile(rb"[ \t\n\r]*"), re.compile(rb"[ \t\n\r]*([,\]])")


def _elements(body: bytes) -> Iterator[tuple[int, int]]:
    """Where each element of the list begins and ends."""
    opening = _OPEN.match(body)
    if opening is None:
        raise not_a_batch("a list of requests is needed")
    position = _blank(body, opening.end())
    ends = _Ends(body)
    following = body[position : position + 1]
    if following == b"]":
        position += 1
    while following != b"]":
        start = _blank(body, position)
        end = ends.of(start)
        yield start, end
        match = _NEXT.match(body, end)
        if match is None:
            raise not_a_batch("not JSON: rows are parted by commas and end with a bracket")
        following, position = match[1], match.end()
    if _blank(body, position) != len(body):
        raise not_a_batch("not JSON: something follows the list")


def _blank(body: bytes, position: int) -> int:
    """Where the blanks from `position` on end."""
    match = _BLANK.match(body, position)
    assert match is not None
    return match.end()


class _Ends:
    """Finds where an element ends, looking at no more than a row's bytes; they are taken for characters, for only ASCII
    ones part a JSON text. What else is wrong with a row is seen when it is read."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._start, self._window = 0, ""
        self._decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)

    def of(self, start: int) -> int:
        return self._within(start) or self._anew(start)

    def _anew(self, start: int) -> int:
        self._start, self._window = start, self._body[start : start + MOST_ROW_BYTES].decode("latin-1")
        end = self._within(start)
        if end is None:
            raise not_a_batch(f"not JSON, or a row of more than {MOST_ROW_BYTES:,} bytes")
        return end

    def _within(self, start: int) -> int | None:
        """None where the window does not show all of the element."""
        try:
            _, end = self._decoder.raw_decode(self._window, start - self._start)
        except (ValueError, RecursionError):
            return None
        whole = end < len(self._window) or self._start + end == len(self._body)
        return self._start + end if whole else None
