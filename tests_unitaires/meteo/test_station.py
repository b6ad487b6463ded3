import csv
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from meteo.errors import UnknownStation
from meteo.station import by_product, nearest, station, stations


def test_there_are_49_stations_in_australia() -> None:
    found = stations().values()
    assert len(found) == 49
    assert all(-44 < place.latitude < -10 and 112 < place.longitude < 169 for place in found)
    assert all(place.bom_product.startswith("IDCJDW") and place.zone for place in found)


def test_the_station_facts_are_those_of_the_directory(real_data: Path) -> None:
    with (real_data / "stations.csv").open() as text:
        for row in csv.DictReader(text):
            ours = station(row["station"])
            assert (ours.latitude, ours.longitude) == (float(row["latitude"]), float(row["longitude"]))
            assert (ours.elevation_m, ours.bom_product) == (float(row["elevation_m"]), row["bom_product"])


def test_today_is_the_stations_own_day() -> None:
    evening_in_london = datetime(2024, 1, 1, 14, 0, tzinfo=UTC)
    assert station("Sydney").today(evening_in_london) == date(2024, 1, 2)
    assert station("Perth").today(evening_in_london) == date(2024, 1, 1)


def test_a_product_names_its_station_and_earlier_products_too() -> None:
    assert by_product()["IDCJDW2124"].name == "Sydney"
    assert by_product()["IDCJDW5002"].name == by_product()["IDCJDW5081"].name == "Adelaide"


def test_an_unknown_station_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UnknownStation) as refusal:
        station("Sidney")
    assert refusal.value.nearest[0] == "Sydney"
    assert refusal.value.fields[0][0] == "station"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("alice springs", "AliceSprings"), ("MELBORNE", "Melbourne"), ("Mount  Gambier", "MountGambier")],
)
def test_names_are_guessed_from_what_people_type(typed: str, meant: str) -> None:
    assert nearest(typed)[0] == meant


def test_no_more_names_are_guessed_than_asked_for() -> None:
    assert len(nearest("Melbourne")) <= 3
    assert nearest("Melbourne Airport", limit=1) == ["MelbourneAirport"]
    assert len(nearest("Melbourne Airport", limit=2)) == 2
    assert nearest("Zzyzx") == []


@pytest.mark.parametrize("name", ["Sydney\n", "Sydney\x00", "sydney", "\u202eSydney", "", "x" * 5000])
def test_only_the_exact_name_is_a_station(name: str) -> None:
    with pytest.raises(UnknownStation) as refusal:
        station(name)
    assert refusal.value.detail.isprintable()
    assert refusal.value.detail.isascii()
