"""A station's climate: how often it rains there in each month and what its readings usually are, fitted on a training
period only; what a model knows of a place beyond its coordinates."""

import json
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from meteo.features import station_row
from meteo.features.station_row import PLACE, STATIONS, places
from meteo.observation import Floats, Observations, rain_tomorrow

USUAL = ("humidity_9am", "humidity_3pm", "pressure_3pm", "temp_3pm", "dew_point_3pm", "cloud_3pm", "sunshine",
         "temp_range")  # fmt: skip
NAMES = (*(f"{name}_anomaly" for name in USUAL), "rain_climate")
"""Column names, in order."""

_STRENGTH = 10.0
"""Days of the overall rate added to a station-month's own, so that a short history does not claim 0 or 1."""
_MINIMUM = 20
_COLUMNS = [station_row.NAMES.index(name) for name in USUAL]


@dataclass(frozen=True)
class Climate:
    """`usual` (stations, 12, len(USUAL)): mean reading, NaN where it was hardly ever observed; `rain` (stations, 12):
    how often more than 1.0 mm followed."""

    usual: Floats
    rain: Floats

    @classmethod
    def fit(cls, observations: Observations) -> "Climate":
        """From the training period's rows."""
        key = places(observations.station) * 12 + _month(observations.day)
        cells = len(STATIONS) * 12
        values = station_row.columns(observations)[:, _COLUMNS]
        usual = np.full((cells, len(USUAL)), np.nan)
        for column in range(len(USUAL)):
            known = ~np.isnan(values[:, column])
            count = np.bincount(key[known], minlength=cells)
            total = np.bincount(key[known], values[known, column], cells)
            enough = count >= _MINIMUM
            usual[enough, column] = total[enough] / count[enough]
        label = rain_tomorrow(observations.station, observations.day, observations.column("rainfall"))
        known = ~np.isnan(label)
        rate = float(label[known].mean()) if known.any() else 0.0
        count = np.bincount(key[known], minlength=cells)
        rain = (np.bincount(key[known], label[known], cells) + _STRENGTH * rate) / (count + _STRENGTH)
        return cls(usual.reshape(-1, 12, len(USUAL)), rain.reshape(-1, 12))

    def columns(self, station: NDArray[np.str_], day: NDArray[np.datetime64], values: Floats) -> Floats:
        """The climate's part of X, (n, len(NAMES)); `values` (n, …) is the row's part."""
        place, month = places(station), _month(day)
        part = np.empty((len(values), len(NAMES)))
        part[:, :-1] = values[:, _COLUMNS] - self.usual[place, month]
        part[:, -1] = self.rates(station, day)
        return part

    def rates(self, station: NDArray[np.str_], day: NDArray[np.datetime64]) -> Floats:
        """How often more than 1.0 mm followed days of that month there, (n,): the climatology that skill is against."""
        rates: Floats = self.rain[places(station), _month(day)]
        return rates

    def rate(self, station: str, day: date) -> float:
        """The same of one day."""
        return float(self.rain[PLACE[station], day.month - 1])

    def text(self) -> str:
        """As JSON: station -> 12 months."""
        table = {
            name: {
                "rain": self.rain[place].tolist(),
                "usual": [
                    [None if np.isnan(value) else value for value in month] for month in self.usual[place].tolist()
                ],
            }
            for place, name in enumerate(STATIONS)
        }
        return json.dumps({"usual": USUAL, "stations": table}, indent=0)

    @classmethod
    def parse(cls, text: str | bytes) -> "Climate":
        """What `text` gave; ValueError when it is of other stations or quantities."""
        given = json.loads(text)
        if tuple(given["usual"]) != USUAL or tuple(given["stations"]) != STATIONS:
            raise ValueError("the climate is of other stations or quantities than this program knows")
        tables = list(given["stations"].values())
        return cls(
            np.array([table["usual"] for table in tables], dtype=float), np.array([table["rain"] for table in tables])
        )


def _month(day: NDArray[np.datetime64]) -> NDArray[np.intp]:
    return (day.astype("datetime64[M]").astype(int) % 12).astype(np.intp)
