import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from api_model.codecs.batch import read_batch
from meteo.errors import InvalidInput
from meteo.http.requests import JSON

RowsOf = Callable[..., list[Any]]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_list_is_read_in_pieces_as_it_would_be_whole(rows_of: RowsOf, indent: int | None, ascii_only: bool) -> None:
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
