import csv
import io
import json
from typing import Any

import numpy as np
import pytest

from api_model.codecs.batch import read_batch
from api_model.codecs.csv import CSV
from api_model.codecs.rows import MOST_ERRORS, MOST_KEYS, PIECE_BYTES, PIECE_ROWS, parsed, refusal
from meteo.errors import InvalidInput
from meteo.http.requests import JSON
from meteo.schemas.forecasts import BatchError


def rows_of(body: bytes, kind: str = JSON) -> list[Any]:
    given = read_batch(body, kind)
    found = []
    for piece in given.pieces:
        rows = list(given.rows(piece))
        assert len(rows) == piece.rows <= PIECE_ROWS
        assert piece.end - piece.start <= PIECE_BYTES
        found += rows
    assert given.count == len(found)
    return found


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_list_is_read_in_pieces_as_it_would_be_whole(indent: int | None, ascii_only: bool) -> None:
    generator = np.random.default_rng(1)
    texts = ["", "\\", '"', "]", "},{", '\\"', "Ｓｙｄｎｅｙ", "🌧", "\n\t", "a" * 3000]
    values = [*texts, 12, -0.5, 1e300, True, None, [], [[1, [2]]], {"a": {"b": "]"}}]
    rows = [
        {str(texts[generator.integers(len(texts))]): [values[place] for place in generator.integers(0, len(values), 4)]}
        for _ in range(5000)
    ]
    rows[3:3] = [[], 7, "x", None, "a" * 60_000]  # type: ignore[list-item]
    body = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    assert rows_of(b" \n" + body + b"\r\n ") == rows


def test_a_table_is_read_in_pieces_as_it_would_be_whole() -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["date", " station ", "wind_dir_3pm", "humidity_3pm"])
    cells = ["N", "", 'a "quoted" word', "two\r\nlines", "a,b", "🌧" * 100, " 80 ", "NaN"]
    given = [["2020-02-10", f"Sydney {number}", cells[number % len(cells)], number] for number in range(9000)]
    for number, row in enumerate(given):
        writer.writerow(row)
        text.write("\r\n" * (number % 50 == 0))
    rows = rows_of(b"\xef\xbb\xbf" + text.getvalue().encode(), CSV)
    assert [row["station"] for row in rows] == [f"Sydney {number}" for number in range(9000)]
    for number, row in enumerate(rows):
        wind = cells[number % len(cells)].strip()
        assert row["observation"] == {"humidity_3pm": number} | ({"wind_dir_3pm": wind} if wind else {})


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{}", b"7", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1]]", b"[1] x", b"[1]\x00", b"[NaN]",
     b"[Infinity]", b"[-Infinity]", b'["\\ud800"]', b'[{"\\udc00":1}]', b"[01]", b"[1.]", b"['a']", b'["\xff"]',
     b'["a\nb"]', b"\xef\xbb\xbf[1]", b"[" + b"9" * 5000 + b"]", b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000,
     b'[{"a":' * 100_000, b'["' + b"a" * 70_000 + b'"]', b"[" + b"1" * 70_000 + b"]", b"[" + b"7," * 100_000 + b"7]",
     b'[{},{"a":tru}]', b"[tru", b"nul", "[1]".encode("utf-16")],
    ids=lambda body: ascii(body[:20]),
)  # fmt: skip
def test_a_list_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^body: "):
        read_batch(body, JSON)


@pytest.mark.parametrize(
    "body",
    [b"", b"\n" * 10, b"station,date\n", b"station,date\n" + b"\n" * 200_000, b"station,date\n" + b"a,b\n" * 100_001,
     b"station,date" + b",a" * 20_000, b"station,date" + b",humidity_3pm" * 2,
     b'station,date\n"a,b\n' + b"c\n" * 50_000,
     b'station,date\n"a"b,c\n', b"station,date\na,\xff\n", b"station,date\na\rb,c\n", b"station,date\n" + b"a" * 70_000,
     b'station,date\n' + b'"a\n",' * 20_000],
    ids=lambda body: ascii(body[:20]),
)  # fmt: skip
def test_a_table_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^body: ") as caught:
        read_batch(body, CSV)
    assert len(caught.value.detail) < 1000


def test_of_a_row_with_many_errors_some_are_told() -> None:
    told = parsed({f"key {number}": 1 for number in range(MOST_KEYS)})
    assert isinstance(told, BatchError)
    assert len(told.errors) == MOST_ERRORS
    many = {f"key {number}": 1 for number in range(6000)}
    for row in (many, {"station": "Sydney", "date": "2020-02-10", "observation": many}):
        assert parsed(row) == refusal([("body", "more than 100 keys")])
