"""What the other stations saw: values near a station, on each side of it, and at every station of the country.

Weather comes from somewhere: the same day's readings of the neighbours are the largest gain over a station's own row.
All is missing (NaN) where no neighbour reported; nothing of the station's own row is in it.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from meteo.features import station_row
from meteo.features.station_row import STATIONS, places
from meteo.observation import Floats, Observations
from meteo.station import stations

Matrix = NDArray[np.float32]

NEAR_KM = (100, 300)
SIDE_KM = (400, 1000)
SIDES = {"north": 0.0, "east": np.pi / 2, "south": np.pi, "west": -np.pi / 2}
"""Neighbours count exp(-(distance / scale)²), on a side those within 45° of its direction only."""

NEAR = (
    "rainfall", "rain_today", "humidity_3pm", "humidity_9am", "humidity_change", "pressure_3pm", "pressure_change",
    "cloud_9am", "cloud_3pm", "temp_3pm", "max_temp", "temp_range", "dew_point_9am", "dew_point_3pm", "wind_u_gust",
    "wind_v_gust", "wind_u_3pm", "wind_v_3pm", "wind_gust_speed", "sunshine",
)  # fmt: skip
SIDED = (
    "rainfall", "humidity_3pm", "pressure_3pm", "pressure_since_yesterday", "cloud_3pm", "temp_3pm", "dew_point_3pm",
    "wind_u_3pm", "wind_v_3pm", "sunshine",
)  # fmt: skip
YESTERDAY = ("rainfall", "humidity_3pm", "pressure_3pm", "cloud_3pm", "dew_point_3pm")
EVERYWHERE = ("pressure_3pm", "pressure_since_yesterday")
"""Means near by and on each side, those of the day before, and what each station of the country reported: the map."""

_NEAR = tuple(f"near_{scale}_km" for scale in NEAR_KM)
_SIDED = tuple(f"{side}_{scale}_km" for scale in SIDE_KM for side in SIDES)
_MEANS = (
    *((name, where, 0) for where in _NEAR for name in NEAR),
    *((name, where, 0) for where in _SIDED for name in SIDED),
    *((name, where, 1) for where in (_NEAR[0], *_SIDED[: len(SIDES)]) for name in YESTERDAY),
)
"""(quantity, kernel, days back)"""

GRADIENTS = tuple((f"{one}_{scale}_km", f"{other}_{scale}_km") for scale in SIDE_KM
                  for one, other in (("west", "east"), ("north", "south")))  # fmt: skip
"""The pressure on one side less that on the other: the wind to come."""

LOCAL = (
    *(f"{name}_{where}{'_yesterday' * back}" for name, where, back in _MEANS),
    *(f"pressure_3pm_{one}_less_{other}" for one, other in GRADIENTS),
)
NAMES = (*LOCAL, *(f"{name}_at_{station}" for name in EVERYWHERE for station in STATIONS))
"""Column names, in order."""

PRESSURE_AROUND = tuple(LOCAL.index(f"pressure_3pm_{where}") for where in _SIDED)
"""The columns that hold the pressure on each side."""

_REACH = 3.0
"""Neighbours further away than so many times the scale count for nothing."""


@dataclass(frozen=True)
class Surroundings:
    """From day `first` on: `local` (days, stations, len(LOCAL)), `map` (days, columns), `reported` (days, stations)."""

    first: np.datetime64
    local: Matrix
    map: Matrix
    reported: NDArray[np.bool_]

    @classmethod
    def of(cls, observations: Observations) -> "Surroundings":
        """From all rows of the days in question and of the day before each; a station-day must not occur twice."""
        if not len(observations):
            return cls.nothing()
        first = observations.day.min()
        day, place = (observations.day - first).astype(int), places(observations.station)
        shape = (int(day.max()) + 1, len(STATIONS))
        values = station_row.columns(observations)
        panel = {}
        for name in dict.fromkeys((*NEAR, *SIDED)):
            panel[name] = np.full(shape, np.nan)
            if name in station_row.NAMES:
                panel[name][day, place] = values[:, station_row.NAMES.index(name)]
        panel["pressure_since_yesterday"][1:] = np.diff(panel["pressure_3pm"], axis=0)
        local = np.empty((*shape, len(LOCAL)), np.float32)
        means = {key: _mean(panel[key[0]], _kernels()[key[1]]) for key in dict.fromkeys(key[:2] for key in _MEANS)}
        for column, (name, where, back) in enumerate(_MEANS):
            local[:back, :, column] = np.nan
            local[back:, :, column] = means[name, where][: shape[0] - back]
        for column, (one, other) in enumerate(GRADIENTS, len(_MEANS)):
            local[:, :, column] = means["pressure_3pm", one] - means["pressure_3pm", other]
        reported = np.zeros(shape, dtype=bool)
        reported[day, place] = ~np.isnan(observations.values).all(axis=1)
        return cls(first, local, np.hstack([panel[name] for name in EVERYWHERE]).astype(np.float32), reported)

    @classmethod
    def nothing(cls) -> "Surroundings":
        """Where nobody reported."""
        return cls(
            np.datetime64("1970-01-01", "D"),
            np.empty((0, len(STATIONS), len(LOCAL)), np.float32),
            np.empty((0, len(EVERYWHERE) * len(STATIONS)), np.float32),
            np.empty((0, len(STATIONS)), dtype=bool),
        )

    def columns(self, station: NDArray[np.str_], day: NDArray[np.datetime64]) -> Matrix:
        """The surroundings of each row, (n, len(NAMES)); NaN for days that are not covered."""
        part = np.full((len(station), len(NAMES)), np.nan, np.float32)
        rows, days, place = self._covered(station, day)
        width = self.local.shape[2]
        part[rows, :width] = self.local[days, place]
        part[rows, width:] = self.map[days]
        own = width + place[:, None] + np.arange(len(EVERYWHERE)) * len(STATIONS)
        part[rows[:, None], own] = np.nan
        return part

    def used(self, station: NDArray[np.str_], day: NDArray[np.datetime64]) -> NDArray[np.intp]:
        """How many other stations reported that day, (n,)."""
        count = np.zeros(len(station), dtype=np.intp)
        rows, days, place = self._covered(station, day)
        count[rows] = self.reported[days].sum(axis=1) - self.reported[days, place]
        return count

    def _covered(
        self, station: NDArray[np.str_], day: NDArray[np.datetime64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        index = (day - self.first).astype(int)
        rows = np.flatnonzero((index >= 0) & (index < len(self.reported)))
        return rows, index[rows], places(station[rows])


def _mean(values: Floats, weight: Floats) -> Floats:
    """For each station the weighted mean of what the others know, (days, stations).

    In double precision: one day alone then gives the same single-precision value as that day among thousands.
    """
    known = ~np.isnan(values)
    total, share = np.where(known, values, 0) @ weight, known @ weight
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(share > 1e-6, total / share, np.nan)


@cache
def _kernels() -> dict[str, Floats]:
    """The weight of station i for station j, (i, j), by name."""
    known = [stations()[name] for name in STATIONS]
    latitude = np.radians([place.latitude for place in known])
    longitude = np.radians([place.longitude for place in known])
    distance, bearing = great_circle(latitude[:, None], longitude[:, None], latitude, longitude)
    other = ~np.eye(len(known), dtype=bool)
    kernels = {f"near_{scale}_km": _kernel(distance, scale, other) for scale in NEAR_KM}
    for side, angle in SIDES.items():
        there = np.abs((bearing - angle + np.pi) % (2 * np.pi) - np.pi) <= np.pi / 4
        kernels |= {f"{side}_{scale}_km": _kernel(distance, scale, other & there) for scale in SIDE_KM}
    return {name: np.ascontiguousarray(kernel.T) for name, kernel in kernels.items()}


def _kernel(distance: Floats, scale: float, chosen: NDArray[np.bool_]) -> Floats:
    return np.where(chosen & (distance < _REACH * scale), np.exp(-((distance / scale) ** 2)), 0.0)


def great_circle(
    latitude: Floats, longitude: Floats, to_latitude: Floats, to_longitude: Floats
) -> tuple[Floats, Floats]:
    """Distance in km on a sphere of 6,371 km (haversine) and initial bearing in radians, clockwise from north."""
    east = to_longitude - longitude
    half = np.sin((to_latitude - latitude) / 2) ** 2 + np.cos(latitude) * np.cos(to_latitude) * np.sin(east / 2) ** 2
    bearing = np.arctan2(
        np.sin(east) * np.cos(to_latitude),
        np.cos(latitude) * np.sin(to_latitude) - np.sin(latitude) * np.cos(to_latitude) * np.cos(east),
    )
    return 2 * 6371.0 * np.arcsin(np.sqrt(half)), bearing
