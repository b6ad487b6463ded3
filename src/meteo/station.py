"""The 49 stations: where they stand, whose clock they keep, and the BOM product that carries their observations.

`stations.csv` holds public station facts from BOM's station directory; `note` says where a station of the 2007-2017
history and today's product stand at different sites.
"""

import csv
import difflib
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from meteo.errors import UnknownStation


@dataclass(frozen=True)
class Station:
    """A station; latitude and longitude in degrees (south negative), elevation in metres above sea level.

    `bom_product` is fetched; `other_products` (space-separated) are the same place's earlier or parallel files.
    """

    name: str
    state: str
    latitude: float
    longitude: float
    elevation_m: float
    timezone: str
    bom_product: str
    other_products: str
    bom_site: str
    note: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def today(self, now: datetime) -> date:
        """The calendar day at the station at the aware instant `now`."""
        return now.astimezone(self.zone).date()


@cache
def stations() -> dict[str, Station]:
    """All stations by name, in alphabetical order."""
    with files("meteo").joinpath("stations.csv").open(encoding="utf-8") as text:
        found = [
            Station(
                row["name"],
                row["state"],
                float(row["latitude"]),
                float(row["longitude"]),
                float(row["elevation_m"]),
                row["timezone"],
                row["bom_product"],
                row["other_products"],
                row["bom_site"],
                row["note"],
            )
            for row in csv.DictReader(text)
        ]
    return {station.name: station for station in sorted(found, key=lambda station: station.name)}


@cache
def by_product() -> dict[str, Station]:
    """Stations by every BOM product of their month files, such as IDCJDW2124."""
    return {
        product: station
        for station in stations().values()
        for product in (station.bom_product, *station.other_products.split())
    }


def station(name: str) -> Station:
    """The station of that exact name; UnknownStation carries the nearest names."""
    found = stations().get(name)
    if found is None:
        raise UnknownStation(name, nearest(name))
    return found


def nearest(name: str, limit: int = 3) -> list[str]:
    """Station names that look most like `name`, best first."""
    folded = {known.casefold(): known for known in stations()}
    matches = difflib.get_close_matches(name.casefold().replace(" ", "")[:64], folded, n=limit, cutoff=0.5)
    return [folded[match] for match in matches]
