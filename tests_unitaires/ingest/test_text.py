import gzip
import io
from collections.abc import Callable

import pytest

from ingest.text import lines_of, split_line
from meteo.errors import UnreadableFile


def read(content: bytes) -> list[str]:
    return list(lines_of(io.BufferedReader(io.BytesIO(content)), "f.csv"))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_lines_end_as_they_may_and_files_may_be_compressed(end: bytes, packed: Callable[[bytes], bytes]) -> None:
    assert read(packed(b"a,b" + end + b"1,2" + end)) == ["a,b", "1,2"]


def test_utf_8_with_and_without_a_mark_and_latin_1_are_read() -> None:
    for content in ("\N{DEGREE SIGN}C\n".encode(), "\ufeff\N{DEGREE SIGN}C\n".encode(), b"\xb0C\n"):
        assert read(content) == ["\N{DEGREE SIGN}C"]


def test_control_characters_are_replaced() -> None:
    assert read(b"a\x00b\tc\x7f\n") == ["a\N{REPLACEMENT CHARACTER}b\tc\N{REPLACEMENT CHARACTER}"]


def test_a_line_without_an_end_is_no_data_file() -> None:
    with pytest.raises(UnreadableFile, match=r"f\.csv has a line of more than 10000 characters"):
        read(b"x" * 1_000_000)


def test_a_quoted_comma_separates_nothing() -> None:
    assert split_line(['a,"b, c",d']) == ["a", "b, c", "d"]
    assert split_line([""]) == []
