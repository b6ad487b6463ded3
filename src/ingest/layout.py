"""How a source file is laid out: where its header is, what stands in which column, and whose file it is.

UnreadableFile where it is not what it should be.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ingest.text import split_line
from meteo.errors import UnreadableFile
from meteo.observation import FIELDS
from meteo.station import Station, by_product

_PREAMBLE_LINES = 60
_PRODUCT = re.compile(r"\bIDCJDW\d{4}(?=\.\d{6}\b)")
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


def find_header(lines: Iterator[str], name: str) -> tuple[list[str], str]:
    """The lines above the header, and the header."""
    preamble: list[str] = []
    for line in itertools.islice(lines, _PREAMBLE_LINES):
        if line.lstrip()[:1] == "<":
            raise UnreadableFile(f"{name} is a web page, not a data file; the source may be refusing programs")
        names = {_plain(cell) for cell in split_line([line])}
        if "Date" in names and names & {"MinTemp", "Location", "Minimum temperature", "Rainfall"}:
            return preamble, line
        preamble.append(line)
    if not any(line.strip() for line in preamble):
        raise UnreadableFile(f"{name} is empty")
    raise UnreadableFile(f"{name} has no header line with Date and the fields: neither a BOM month file nor weatherAUS")


def columns_of(header: Sequence[str], name: str) -> Columns:
    """Where the schema's columns stand below this header."""
    plain = [_plain(cell) for cell in header]
    station = plain.index("Location") if "Location" in plain else None
    wanted = {"Date": "Date"} | {field.name: field.bom if station is None else field.history for field in FIELDS}
    absent = [column for column in wanted.values() if column not in plain]
    if absent:
        raise UnreadableFile(f"{name} lacks the column(s) {', '.join(absent)}; it has {_listed(plain)}")
    for column in wanted.values():
        if plain.count(column) > 1:
            raise UnreadableFile(f"{name} has the column {column} more than once")
    places = [plain.index(wanted[field.name]) for field in FIELDS]
    for field, place in zip(FIELDS, places, strict=True):
        unit = re.search(r"\((.*)\)", header[place])
        said = re.sub(r"[^!-~]", "", unit[1]) if unit else ""
        if said and said not in _UNITS.get(field.unit, {field.unit}):
            raise UnreadableFile(f"{name} gives {plain[place]} in {said}; {field.unit or 'no unit'} is needed")
    known = {*wanted.values(), "Location", _GUST_TIME, *_IGNORED}
    unknown = [column for column in plain if column not in known and not column.startswith("Unnamed")]
    return Columns(len(header), plain.index("Date"), station, places, unknown)


def month_file_of(preamble: Sequence[str], name: str, asked: str) -> tuple[Station, str]:
    """The station and product of a month file, by what it says, its name, and what it was asked for as."""
    said, named = _PRODUCT.search("\n".join(preamble)), _PRODUCT.search(name)
    claims = [claim for claim in (said and said.group(), named and named.group(), asked) if claim]
    product = claims[0] if claims else ""
    other = next((claim for claim in claims if claim != product), None)
    if other:
        raise UnreadableFile(f"{name} says it is {product}, not {other}")
    place = by_product().get(product)
    if place is None:
        raise UnreadableFile(
            f"{name} is of BOM product {product or '(none named)'}, which belongs to none of the stations; "
            "a file without BOM's first lines must keep its name, such as IDCJDW2124.202305.csv"
        )
    return place, product


def _plain(header: str) -> str:
    return header.split("(")[0].strip()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name[:30].encode("ascii", "replace").decode() for name in names if name)[:300]
