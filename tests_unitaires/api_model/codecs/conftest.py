from collections.abc import Callable
from typing import Any

import pytest

from api_model.codecs.batch import read_batch
from api_model.codecs.rows import PIECE_BYTES, PIECE_ROWS
from meteo.http.requests import JSON


@pytest.fixture
def rows_of() -> Callable[..., list[Any]]:
    """The rows of a body that is read in pieces, each of which keeps to its bounds."""
    return _rows_of


def _rows_of(body: bytes, kind: str = JSON) -> list[Any]:
    given = read_batch(body, kind)
    found = []
    for piece in given.pieces:
        rows = list(given.rows(piece))
        assert len(rows) == piece.rows <= PIECE_ROWS
        assert piece.end - piece.start <= PIECE_BYTES
        found += rows
    assert given.count == len(found)
    return found
