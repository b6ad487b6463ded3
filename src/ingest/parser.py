"""Bytes -> rows of the schema: weatherAUS.csv(.gz) and BOM's month files, read by header names.

A file that is not what it should be raises UnreadableFile; a row that cannot be read is quarantined with the reason.
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from meteo.errors import UnreadableFile
from meteo.observation import COMPASS, FIELDS, Observations
from meteo.station import by_product, stations
from meteo.store import Batch, Quarantined

CHUNK_ROWS = 20_000
HISTORY = "weatherAUS"

_HISTORY_COLUMNS = {"Date": "day", "Location": "station", **{field.history: field.name for field in FIELDS}}
_HISTORY_KNOWN = {*_HISTORY_COLUMNS, "RainToday", "RainTomorrow"}
_REQUIRED = ("min_temp", "max_temp", "rainfall")
_PRODUCT = re.compile(r"\bIDCJDW\d{4}(?=\.\d{6}\b)")
_SECTORS = {name: float(index) for index, name in enumerate(COMPASS)}


def parse(content: bytes, name: str, product: str = "") -> Iterator[Batch]:
    """The file's rows in chunks.

    `product` is the BOM product it was asked for as; a month file that says it is another one is refused.
    """
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFile(f"{name} is a damaged gzip file: {error}") from error
    if not content.strip():
        raise UnreadableFile(f"{name} is empty")
    if content.lstrip()[:1] == b"<":
        raise UnreadableFile(f"{name} is a web page, not a data file; the source may be refusing programs")
    first_line = content.split(b"\n", 1)[0]
    if b"Location" in first_line and b"MinTemp" in first_line:
        return _history(content, name)
    return iter([_month_file(content, name, product)])


def _history(content: bytes, name: str) -> Iterator[Batch]:
    reader = pd.read_csv(
        io.BytesIO(content), dtype=str, keep_default_na=False, na_values=["NA", ""], chunksize=CHUNK_ROWS
    )
    for frame in reader:
        absent = [column for column in _HISTORY_COLUMNS if column not in frame.columns]
        if absent:
            raise UnreadableFile(f"{name} lacks the column(s) {', '.join(absent)}")
        yield _batch(frame.rename(columns=_HISTORY_COLUMNS), HISTORY)


def _month_file(content: bytes, name: str, asked: str) -> Batch:
    lines = content.decode("latin-1").splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith(',"Date"')), None)
    if start is None:
        raise UnreadableFile(f'{name} has no header line starting with ,"Date": not a BOM month file')
    said = _PRODUCT.search("\n".join(lines[:start]))
    in_name = _PRODUCT.search(name)
    product = said.group() if said else asked or (in_name.group() if in_name else "")
    if asked and product != asked:
        raise UnreadableFile(f"{name} says it is {product}, not {asked}")
    station = by_product().get(product)
    if station is None:
        raise UnreadableFile(
            f"{name} is of BOM product {product or '(none named)'}, which belongs to none of the stations"
        )
    frame = pd.read_csv(
        io.StringIO("\n".join(lines[start:])), dtype=str, keep_default_na=False, na_values=[""], skip_blank_lines=True
    )
    columns = {header: _schema_name(header) for header in frame.columns}
    absent = [field.bom for field in FIELDS if field.name not in columns.values()]
    if absent:
        raise UnreadableFile(f"{name} lacks the column(s) {', '.join(absent)}")
    frame = frame.rename(columns=columns)
    frame["station"] = station.name
    return _batch(frame, product)


def _schema_name(header: str) -> str:
    plain = header.split("(")[0].strip()
    if plain == "Date":
        return "day"
    return next((field.name for field in FIELDS if field.bom == plain), header)


def _batch(frame: pd.DataFrame, product: str) -> Batch:
    """Text columns named by the schema, as numbers; rows with an unreadable cell are quarantined."""
    reason = np.full(len(frame), "", dtype=object)
    day = pd.to_datetime(frame["day"], format="%Y-%m-%d", errors="coerce")
    reason[day.isna()] = "date: not written YYYY-MM-DD"
    reason[~frame["station"].isin(list(stations()))] = "station: not one of the known stations"
    values = np.empty((len(frame), len(FIELDS)))
    for index, field in enumerate(FIELDS):
        text = frame[field.name].str.strip().replace("", pd.NA)
        if field.compass:
            read = text.map(_SECTORS).astype(float)
        else:
            read = pd.to_numeric(text.replace("Calm", "0") if field.unit == "km/h" else text, errors="coerce")
        values[:, index] = read.to_numpy(dtype=float, na_value=np.nan)
        wrong = text.notna().to_numpy() & ~np.isfinite(values[:, index])
        kind = "a compass point" if field.compass else "a number"
        reason[wrong] = [f"{field.name}: {cell[:20]!r} is not {kind}" for cell in text[wrong]]
    good = reason == ""
    observations = Observations(
        frame["station"][good].to_numpy(dtype=str), day[good].to_numpy("datetime64[D]"), values[good]
    )
    refused = [
        Quarantined(str(row["station"]), None if pd.isna(when) else when.date(), why,
                    {key: None if pd.isna(cell) else cell for key, cell in row.items()})
        for (_, row), when, why in zip(frame[~good].iterrows(), day[~good], reason[~good], strict=True)
    ]  # fmt: skip
    return Batch(observations, product, refused)
