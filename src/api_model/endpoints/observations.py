"""Stations and what was observed there."""

from datetime import date, timedelta

from fastapi import APIRouter

from api_model.dependencies import CurrentAdmin, CurrentCaller, Wired
from meteo.archive.store import ObservationStore
from meteo.http.date_range import Days
from meteo.http.routing import Route
from meteo.schemas.base import Day
from meteo.schemas.observations import DataQuality, DayBody, FlagBody, StationBody
from meteo.station import station, stations

router = APIRouter(route_class=Route)
RECENT_DAYS = 14


@router.get("/stations")
def list_stations(_: CurrentCaller, wired: Wired) -> list[StationBody]:
    latest = wired.store.latest_days()
    return [
        StationBody(
            **{field: getattr(place, field) for field in StationBody.model_fields if field != "latest"},
            latest=latest.get(place.name),
        )
        for place in stations().values()
    ]


@router.get("/stations/{name}/observations")
def observations(name: str, _: CurrentCaller, wired: Wired, days: Days) -> list[DayBody]:
    place, start, end = station(name), days.start, days.end
    if start is None and end is None:
        newest = wired.store.latest_days().get(place.name)
        start = newest and newest - timedelta(days=RECENT_DAYS - 1)
    return _days(wired.store, place.name, start, end)


@router.get("/data-quality")
def data_quality(_: CurrentAdmin, wired: Wired, days: Days) -> list[DataQuality]:
    return [DataQuality(**row) for row in wired.store.quality(days.start, days.end)]


def _days(store: ObservationStore, place: str, start: Day | None, end: Day | None) -> list[DayBody]:
    rows = store.window(start, end, [place])
    origin = store.provenance(place, start, end)
    flags: dict[date, list[FlagBody]] = {}
    for flag in store.flags(place, start, end):
        flags.setdefault(flag.day, []).append(FlagBody.model_validate(flag, from_attributes=True))
    return [
        DayBody(
            date=day,
            observation=items,
            flags=flags.get(day, []),
            **{name: origin[day][name] for name in ("source", "product", "site", "changed_at")},
        )
        for day, items in zip(rows.day.tolist(), rows.items(), strict=True)
        if day in origin
    ]
