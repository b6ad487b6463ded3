"""The demo source over HTTP: BOM's addresses, simulated months."""

import calendar
import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ingest.demo.month_file import month_file, visible
from ingest.demo.weather import Weather
from ingest.months import months_before
from meteo.errors import UnknownStation
from meteo.observation import INDEX, NAMES, Observations
from meteo.station import Station, stations
from meteo.station import station as known_station

MONTHS_KEPT = 16
"""BOM keeps about 14; the demo a little more, so that a first model has a full year and a holdout."""

MOST_BEHIND = 400

_NAME = re.compile(r"(IDCJDW\d{4})\.(\d{4})(\d{2})\.csv")


class Clock:
    """The present, or as many days before it as the simulation is told to be behind."""

    def __init__(self, days_behind: int = 0) -> None:
        self.days_behind = days_behind

    def __call__(self) -> datetime:
        return datetime.now(UTC) - timedelta(days=self.days_behind)


class Fault(BaseModel):
    """An instrument that fails from the day `start` on: it writes value * factor + offset, or nothing."""

    model_config = ConfigDict(extra="forbid")

    station: str
    fields: list[Literal[NAMES]] = Field(min_length=1)  # type: ignore[valid-type]
    start: date
    factor: float = 1.0
    offset: float = 0.0
    silent: bool = False

    def spoil(self, rows: Observations) -> None:
        """Change the station's rows in place."""
        at_fault = (rows.station == self.station) & (rows.day >= np.datetime64(self.start))
        for name in self.fields:
            values = rows.values[at_fault, INDEX[name]]
            rows.values[at_fault, INDEX[name]] = np.nan if self.silent else values * self.factor + self.offset


def create_app(weather: Weather, clock: Callable[[], datetime]) -> Starlette:
    """`clock` gives the aware present; each station's files go as far as its own day has come. A `Clock` can be
    moved by `PUT /clock` with `{"days_behind": n}`: days pass as fast as they are asked for. `PUT /faults` with a list
    of `Fault` makes instruments fail, an empty list mends them."""
    faults: list[Fault] = []
    simulated = lru_cache(MONTHS_KEPT + 2)(partial(_month, weather))  # one file a station is cut out of each
    by_product = {station.bom_product: station for station in stations().values()}

    def file(request: Request) -> Response:
        name = _NAME.fullmatch(request.path_params["name"])
        station = by_product.get(name[1]) if name else None
        if name is None or station is None or request.path_params["folder"] != f"{name[2]}{name[3]}":
            return _absent()
        now = clock().astimezone(station.zone)
        if not 1 <= int(name[3]) <= 12:
            return _absent()
        month = date(int(name[2]), int(name[3]), 1)
        if not months_before(now.date(), MONTHS_KEPT) <= month <= now.date():
            return _absent()
        content = _content(simulated(month), station, month, now, faults)
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"ETag": etag})
        return Response(content, media_type="text/csv; charset=latin-1", headers={"ETag": etag})

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "alive", "source": "simulated"})

    async def move(request: Request) -> Response:
        try:
            behind = (await request.json())["days_behind"]
        except (ValueError, TypeError, KeyError):
            behind = None
        if not isinstance(clock, Clock) or type(behind) is not int or not 0 <= behind <= MOST_BEHIND:
            return JSONResponse({"detail": f'{{"days_behind": 0 to {MOST_BEHIND}}} is needed'}, 422)
        clock.days_behind = behind
        return JSONResponse({"now": clock().isoformat()})

    async def fail(request: Request) -> Response:
        try:
            asked = TypeAdapter(list[Fault]).validate_json(await request.body())
            for fault in asked:
                known_station(fault.station)
        except ValidationError as error:
            return JSONResponse({"detail": error.errors(include_input=False, include_url=False)}, 422)
        except UnknownStation as error:
            return JSONResponse({"detail": error.detail}, 422)
        faults[:] = asked
        return JSONResponse([fault.model_dump(mode="json") for fault in faults])

    moved, failed = Route("/clock", move, methods=["PUT"]), Route("/faults", fail, methods=["PUT"])
    return Starlette(routes=[moved, failed, Route("/climate/dwo/{folder}/text/{name}", file), Route("/health", health)])


def _month(weather: Weather, month: date) -> Observations:
    return weather.days(month, month.replace(day=calendar.monthrange(month.year, month.month)[1]))


def _content(rows: Observations, station: Station, month: date, now: datetime, faults: Sequence[Fault]) -> bytes:
    if faults:
        rows = Observations(rows.station, rows.day, rows.values.copy())
        for fault in faults:
            fault.spoil(rows)
    return month_file(station, month, visible(rows[rows.station == station.name], now), now)


def _absent() -> Response:
    return HTMLResponse("<html><head><title>404 Not Found</title></head><body>Not Found</body></html>", 404)
