import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from api_model.codecs.batch import read_batch
from api_model.codecs.csv import CSV
from meteo.errors import InvalidInput

RowsOf = Callable[..., list[Any]]


def test_a_table_is_read_in_pieces_as_it_would_be_whole(rows_of: RowsOf) -> None:
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
