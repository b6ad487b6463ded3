"""The one schema of a daily weather observation, and the rules that give it meaning.

A day's observations at n station-days are held as columns: station (n,), day (n,) and one value matrix (n, FIELDS).
Missing is NaN. Wind directions are compass sectors 0..15 (N = 0, clockwise), so that every field is a number; text
appears only where data enters or leaves (`compass_name`, `compass_sector`).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from meteo.data_contract import MISSING

Floats = NDArray[np.float64]

RAIN_THRESHOLD_MM = 1.0
"""A day is wet when more than this fell; exactly 1.0 mm is dry (BOM's and weatherAUS's definition)."""

COMPASS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")
_SECTOR = {name: index for index, name in enumerate(COMPASS)}
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Field:
    """One measured quantity: its meaning, unit and what is physically possible.

    `low` and `high` are limits no genuine Australian reading can pass (records in brackets where close), not climate
    ranges. `history` is its column in weatherAUS.csv, `bom` its header in BOM's month files up to the unit.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    history: str
    bom: str
    block: str
    compass: bool = False

    def accepts(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def mean_wind(self) -> bool:
        """Whether it is a ten-minute mean wind, which BOM writes "Calm" when there is none; a gust is never calm."""
        return self.name.startswith("wind_speed")

    def read(self, text: str) -> float:
        """The value that a source wrote as `text`: blank or NA is missing (NaN), Calm is no wind.

        ValueError says what would be right. Limits are not looked at.
        """
        text = text.strip()
        if text in MISSING:
            return math.nan
        if self.compass:
            return compass_sector(text)
        if self.mean_wind and text == "Calm":
            return 0.0
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"{text[:20]!a} is not a number")
        return float(text)

    def text(self, value: float) -> str | None:
        """`value` as a source would write it; None for missing."""
        if math.isnan(value):
            return None
        return compass_name(value) if self.compass else f"{value:g}"

    def item(self, value: float) -> float | str | None:
        """`value` as JSON and SQL hold it: None for missing, a compass point for a sector."""
        if math.isnan(value):
            return None
        return compass_name(value) if self.compass else value


FIELDS = (
    Field("min_temp", "Minimum temperature", "°C", -35, 50, "MinTemp", "Minimum temperature", "day"),
    Field("max_temp", "Maximum temperature", "°C", -25, 56, "MaxTemp", "Maximum temperature", "day"),
    Field("rainfall", "Rain in the 24 h to 9am", "mm", 0, 1200, "Rainfall", "Rainfall", "day"),
    Field("evaporation", "Evaporation in the 24 h to 9am", "mm", 0, 200, "Evaporation", "Evaporation", "day"),
    Field("sunshine", "Bright sunshine", "h", 0, 16, "Sunshine", "Sunshine", "day"),
    Field("wind_gust_dir", "Direction of the strongest gust", "", 0, 15, "WindGustDir",
          "Direction of maximum wind gust", "day", compass=True),
    Field("wind_gust_speed", "Strongest gust", "km/h", 0, 420, "WindGustSpeed", "Speed of maximum wind gust", "day"),
    Field("temp_9am", "Temperature at 9am", "°C", -35, 56, "Temp9am", "9am Temperature", "9am"),
    Field("humidity_9am", "Relative humidity at 9am", "%", 0, 100, "Humidity9am", "9am relative humidity", "9am"),
    Field("cloud_9am", "Cloud at 9am", "oktas", 0, 9, "Cloud9am", "9am cloud amount", "9am"),
    Field("wind_dir_9am", "Wind direction at 9am", "", 0, 15, "WindDir9am", "9am wind direction", "9am", compass=True),
    Field("wind_speed_9am", "Wind speed at 9am", "km/h", 0, 300, "WindSpeed9am", "9am wind speed", "9am"),
    Field("pressure_9am", "Sea-level pressure at 9am", "hPa", 870, 1085, "Pressure9am", "9am MSL pressure", "9am"),
    Field("temp_3pm", "Temperature at 3pm", "°C", -35, 56, "Temp3pm", "3pm Temperature", "3pm"),
    Field("humidity_3pm", "Relative humidity at 3pm", "%", 0, 100, "Humidity3pm", "3pm relative humidity", "3pm"),
    Field("cloud_3pm", "Cloud at 3pm", "oktas", 0, 9, "Cloud3pm", "3pm cloud amount", "3pm"),
    Field("wind_dir_3pm", "Wind direction at 3pm", "", 0, 15, "WindDir3pm", "3pm wind direction", "3pm", compass=True),
    Field("wind_speed_3pm", "Wind speed at 3pm", "km/h", 0, 300, "WindSpeed3pm", "3pm wind speed", "3pm"),
    Field("pressure_3pm", "Sea-level pressure at 3pm", "hPa", 870, 1085, "Pressure3pm", "3pm MSL pressure", "3pm"),
)  # fmt: skip
"""In the order of BOM's month files; every value matrix has one column per field in this order."""

NAMES = tuple(field.name for field in FIELDS)
INDEX = {name: column for column, name in enumerate(NAMES)}
BY_NAME = {field.name: field for field in FIELDS}


@dataclass(frozen=True)
class Observations:
    """Station-days as columns.

    station: (n,) station names; day: (n,) datetime64[D], the station's own calendar; values: (n, len(FIELDS)).
    """

    station: NDArray[np.str_]
    day: NDArray[np.datetime64]
    values: Floats

    def __post_init__(self) -> None:
        if not (len(self.station) == len(self.day) == len(self.values)) or self.values.shape[1:] != (len(FIELDS),):
            raise ValueError(
                f"station {self.station.shape}, day {self.day.shape} and values {self.values.shape} do not describe "
                f"the same rows of {len(FIELDS)} fields"
            )

    def __len__(self) -> int:
        return len(self.station)

    def __getitem__(self, rows: "slice | NDArray[np.intp] | NDArray[np.bool_]") -> "Observations":
        return Observations(self.station[rows], self.day[rows], self.values[rows])

    def column(self, name: str) -> Floats:
        """One field, (n,)."""
        column: Floats = self.values[:, INDEX[name]]
        return column

    def items(self) -> list[dict[str, float | str | None]]:
        """Every row's fields as JSON and SQL hold them."""
        columns = [
            [field.item(value) for value in self.values[:, index].tolist()] for index, field in enumerate(FIELDS)
        ]
        return [dict(zip(NAMES, row, strict=True)) for row in zip(*columns, strict=True)]

    @classmethod
    def empty(cls) -> "Observations":
        return cls(np.empty(0, "U1"), np.empty(0, "datetime64[D]"), np.empty((0, len(FIELDS))))

    @classmethod
    def concatenate(cls, parts: "Sequence[Observations]") -> "Observations":
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.station for part in parts]),
            np.concatenate([part.day for part in parts]),
            np.concatenate([part.values for part in parts]),
        )


def compass_sector(name: str) -> int:
    """The sector 0..15 of a compass point such as "NNW".

    ValueError names what would be right.
    """
    try:
        return _SECTOR[name]
    except KeyError:
        raise ValueError(f"{name!r} is not one of the 16 compass points {', '.join(COMPASS)}") from None


def compass_name(sector: float) -> str:
    """The compass point of a sector 0..15."""
    return COMPASS[int(sector)]


def from_items(station: Sequence[str], day: Sequence[date], columns: Sequence[Sequence[Any]]) -> Observations:
    """Rows from one column per field, as JSON and SQL hold them."""
    values = np.full((len(station), len(FIELDS)), np.nan)
    for index, (field, column) in enumerate(zip(FIELDS, columns, strict=True)):
        numbers = [None if name is None else compass_sector(name) for name in column] if field.compass else column
        values[:, index] = np.array(numbers, dtype=float)
    return Observations(np.array(station, dtype=str), np.array(day, "datetime64[D]"), values)


def rain_tomorrow(station: NDArray[np.str_], day: NDArray[np.datetime64], rainfall: Floats) -> Floats:
    """The label of each row, (n,): 1.0 when the next calendar day's rainfall is more than 1.0 mm, else 0.0.

    NaN where the station has no row for the next calendar day or its rainfall is missing: absence is not "no". Rows
    may come in any order; a station-day must not occur twice.
    """
    order = np.lexsort((day, station))
    following = np.roll(order, -1)
    is_next = (station[following] == station[order]) & (day[following] - day[order] == np.timedelta64(1, "D"))
    if len(order):
        is_next[-1] = False
    tomorrow = np.where(is_next, rainfall[following], np.nan)
    label = np.full(len(order), np.nan)
    label[order] = np.where(np.isnan(tomorrow), np.nan, tomorrow > RAIN_THRESHOLD_MM)
    return label


def rain_period(day: date, timezone: ZoneInfo) -> tuple[datetime, datetime]:
    """What a forecast made from the row of `day` covers: 9am that day to 9am the next, on the station's clock.

    BOM's rainfall of a date is what fell in the 24 hours to 9am of that date, and the label is the next date's.
    """
    return (
        datetime.combine(day, time(9), timezone),
        datetime.combine(day + timedelta(days=1), time(9), timezone),
    )
