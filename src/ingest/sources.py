"""Where observations come from: BOM's month files over HTTP (the demo server speaks the same), or files at hand."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import httpx

from meteo.errors import InvalidInput, Unavailable
from meteo.station import Station


@dataclass(frozen=True)
class RawFile:
    """A file as received; `product` is what it was asked for as (empty for a file at hand)."""

    name: str
    content: bytes
    product: str = ""


@dataclass(frozen=True)
class Missing:
    """A file that was asked for and not there, and what the source said."""

    name: str
    reason: str


class Source(Protocol):
    """Yields files one after the other; `total` says how many there will be."""

    total: int

    def files(self) -> Iterator[RawFile | Missing]: ...


class FileSource:
    """Files and whole folders on this machine."""

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise InvalidInput(
                "source 'file' needs --path (or METEO_INGEST__PATHS): a file or a folder", [("path", "missing")]
            )
        for path in paths:
            if not path.exists():
                raise InvalidInput(f"path: {path} does not exist", [("path", "does not exist")])
        self._paths = [found for path in paths for found in (_files_below(path) if path.is_dir() else [path])]
        self.total = len(self._paths)

    def files(self) -> Iterator[RawFile]:
        for path in self._paths:
            yield RawFile(path.name, path.read_bytes())


class BomSource:
    """BOM's month files, one polite request at a time.

    BOM keeps about the last 14 months at /climate/dwo/YYYYMM/text/PRODUCT.YYYYMM.csv.
    """

    def __init__(
        self,
        client: httpx.Client,
        stations: Sequence[Station],
        months: Sequence[date],
        pause_seconds: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._wanted = [(station, month) for month in months for station in stations]
        self._pause_seconds = pause_seconds
        self._pause = pause
        self.total = len(self._wanted)

    def files(self) -> Iterator[RawFile | Missing]:
        for index, (station, month) in enumerate(self._wanted):
            if index:
                self._pause(self._pause_seconds)
            yield self._fetch(station, month)

    def _fetch(self, station: Station, month: date) -> RawFile | Missing:
        name = f"{station.bom_product}.{month:%Y%m}.csv"
        try:
            response = self._client.get(f"/climate/dwo/{month:%Y%m}/text/{name}")
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._client.base_url} could not be reached for {name}: {error}") from error
        if response.status_code == 404:
            return Missing(name, "the server has no such file (404): BOM keeps about the last 14 months")
        if response.status_code == 403:
            raise Unavailable(
                f"{self._client.base_url} refused {name} (403). BOM turns away programs it does not recognise as a "
                "browser, and its terms discourage automated reading: download the month files in a browser from "
                "https://www.bom.gov.au/climate/dwo/ and import them with --source file --path FOLDER, or agree access "
                "with BOM and set METEO_INGEST__USER_AGENT."
            )
        if response.status_code != 200:
            raise Unavailable(f"{self._client.base_url} answered {response.status_code} for {name}")
        return RawFile(name, response.content, station.bom_product)


def months_between(start: date, end: date) -> list[date]:
    """The first days of the months from `start` to `end`, both included."""
    count = (end.year - start.year) * 12 + end.month - start.month + 1
    return [months_before(end, back) for back in range(count - 1, -1, -1)]


def months_before(day: date, months: int) -> date:
    """The first day of the month that lies `months` before that of `day`."""
    index = day.year * 12 + day.month - 1 - months
    return date(index // 12, index % 12 + 1, 1)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith((".csv", ".csv.gz")))
