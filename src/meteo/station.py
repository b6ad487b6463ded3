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

    `bom_product` is fetched and comes from `bom_site`, BOM's station number; `other_products` and, one for one,
    `other_sites` (space-separated) are the place's earlier or parallel files. `history_site` is where the 2007-2017
    history was observed.
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
    other_sites: str
    history_site: str
    note: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def site_of(self, product: str) -> str:
        """The BOM site that `product`, one of the station's own, comes from; of the history for any other name."""
        others = dict(zip(self.other_products.split(), self.other_sites.split(), strict=True))
        return {self.bom_product: self.bom_site, **others}.get(product, self.history_site)

    def today(self, now: datetime) -> date:
        """The calendar day at the station at the aware instant `now`."""
        return now.astimezone(self.zone).date()


@cache
def stations() -> dict[str, Station]:
    """All stations by name, in alphabetical order."""
    with files("meteo").joinpath("stations.csv").open(encoding="utf-8") as text:
        listed = [
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
                row["other_sites"],
                row["history_site"] or row["bom_site"],
                row["note"],
            )
            for row in csv.DictReader(text)
        ]
    return {station.name: station for station in sorted(listed, key=lambda station: station.name)}


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
    known = stations().get(name)
    if known is None:
        raise UnknownStation(name, nearest(name))
    return known


def nearest(name: str, limit: int = 3) -> list[str]:
    """Station names that look most like `name`, best first."""
    folded = {known.casefold(): known for known in stations()}
    matches = difflib.get_close_matches(name.casefold().replace(" ", "")[:64], folded, n=limit, cutoff=0.5)
    return [folded[match] for match in matches]
