"""Simulated weather: the same for the same seed and day, whenever and from wherever it is asked for."""

from datetime import date

import numpy as np
from scipy.special import ndtr, ndtri

from ingest.demo.climate import RAIN, SCORES, VARIABLES, Climate, harmonics
from meteo.features.station_row import season_angle
from meteo.observation import FIELDS, INDEX, Floats, Observations
from meteo.station import stations

EPOCH = np.datetime64("2023-01-01", "D")
"""The first simulated day; each later day follows from the one before."""

_CALM_KMH = 2.0


class Weather:
    """Days of all stations, simulated from EPOCH on and kept."""

    def __init__(self, climate: Climate, seed: int = 1) -> None:
        self._climate = climate
        self._seed = seed
        self._patterns = np.zeros(climate.loadings.shape[1])
        self._local = np.zeros(climate.loadings.shape[0])
        self._scores: list[Floats] = []

    def days(self, start: date, end: date) -> Observations:
        """Complete rows of start..end, both included, for every station, ordered by station and day."""
        first, last = np.datetime64(start, "D"), np.datetime64(end, "D")
        if not EPOCH < first <= last:
            raise ValueError(f"simulated days begin after {EPOCH} and start before they end, not {start}..{end}")
        while len(self._scores) <= (last - EPOCH).astype(int):
            self._step()
        days = np.arange(first, last + 1)
        offset = int((first - EPOCH).astype(int))
        values = self._values(days, np.array(self._scores[offset - 1 : offset + len(days)]))
        names = self._climate.stations
        flat = values.transpose(1, 0, 2).reshape(-1, len(FIELDS))
        return Observations(np.repeat(names, len(days)), np.tile(days, len(names)), flat)

    def _step(self) -> None:
        """The next day's standard normal scores, (S * V,)."""
        climate = self._climate
        generator = np.random.default_rng([self._seed, len(self._scores)])
        shock = climate.shocks @ generator.standard_normal(len(self._patterns))
        self._patterns = climate.dynamics @ self._patterns + shock
        shape = (len(climate.stations), len(VARIABLES))
        noise = np.einsum("svw,sw->sv", climate.local_shape, generator.standard_normal(shape)).reshape(-1)
        memory = climate.local_memory
        self._local = memory * self._local + np.sqrt(1 - memory**2) * climate.local_spread * noise
        self._scores.append(climate.loadings @ self._patterns + self._local)

    def _values(self, days: np.ndarray, scores: Floats) -> Floats:
        """(n, S, fields) from the scores of the day before the first and of each day, (n + 1, S * V)."""
        climate = self._climate
        shape = (-1, len(climate.stations), len(VARIABLES))
        today, before = scores[1:].reshape(shape), scores[:-1].reshape(shape)
        waves = harmonics(season_angle(days))
        mean = np.einsum("svh,nh->nsv", climate.mean, waves)
        spread = np.maximum(np.einsum("svh,nh->nsv", climate.spread, waves), 1e-3)
        simulated = mean + spread * _quantile(today, climate.quantiles)
        readings = dict(zip(VARIABLES, np.moveaxis(simulated, 2, 0), strict=True))
        readings["rainfall"] = self._rain(before[:, :, RAIN], harmonics(season_angle(days - 1)))
        values = np.full((len(days), len(climate.stations), len(FIELDS)), np.nan)
        for name, column in _consistent(readings, days, _latitudes(climate)).items():
            values[:, :, INDEX[name]] = column
        gaps = np.stack([self._gaps(day) for day in days])
        values[gaps] = np.nan
        return values

    def _rain(self, score: Floats, waves: Floats) -> Floats:
        """What fell in the 24 h to 9am, mm in steps of 0.2, (n, S)."""
        threshold = waves @ self._climate.wet.T
        share = np.maximum(1 - ndtr(threshold), 1e-4)
        place = np.clip(1 - (1 - ndtr(score)) / share, 1e-4, 1 - 1e-4)
        amount = _quantile(ndtri(place)[:, :, None], self._climate.quantiles[:, RAIN : RAIN + 1])[:, :, 0]
        return np.where(score > threshold, np.maximum(np.round(amount * 5) / 5, 0.2), 0.0)

    def _gaps(self, day: np.datetime64) -> np.ndarray:
        generator = np.random.default_rng([self._seed, 1, int((day - EPOCH).astype(int))])
        missing: np.ndarray = generator.uniform(size=self._climate.missing.shape) < self._climate.missing
        return missing


def day_length(day: np.ndarray, latitude: Floats) -> Floats:
    """Hours of daylight, (n, S), from declination and hour angle (Spencer's leading term)."""
    declination = np.radians(-23.44) * np.cos(season_angle(day) + 2 * np.pi * 10 / 365.25)
    cosine = -np.tan(np.radians(latitude))[None, :] * np.tan(declination)[:, None]
    hours: Floats = 24 / np.pi * np.arccos(np.clip(cosine, -1, 1))
    return hours


def _latitudes(climate: Climate) -> Floats:
    return np.array([stations()[name].latitude for name in climate.stations.tolist()])


def _quantile(score: Floats, quantiles: Floats) -> Floats:
    """The value at each score (n, S, V) of the distributions (S, V, len(SCORES)), linear between the kept ones."""
    clipped = np.clip(score, SCORES[0], SCORES[-1])
    right = np.clip(np.searchsorted(SCORES, clipped, side="right"), 1, len(SCORES) - 1)
    weight = (clipped - SCORES[right - 1]) / (SCORES[right] - SCORES[right - 1])
    table = np.broadcast_to(quantiles, (*score.shape[:1], *quantiles.shape))
    low = np.take_along_axis(table, (right - 1)[..., None], axis=3)[..., 0]
    high = np.take_along_axis(table, right[..., None], axis=3)[..., 0]
    value: Floats = low + weight * (high - low)
    return value


def _consistent(found: dict[str, Floats], days: np.ndarray, latitude: Floats) -> dict[str, Floats]:
    """Fields as instruments give them: rounded, within their limits, and not contradicting each other."""
    fields: dict[str, Floats] = {"rainfall": found["rainfall"]}
    for hour in ("9am", "3pm"):
        fields[f"humidity_{hour}"] = np.clip(np.round(found[f"humidity_{hour}"]), 3, 100)
        fields[f"cloud_{hour}"] = np.clip(np.round(found[f"cloud_{hour}"]), 0, 8)
        fields[f"pressure_{hour}"] = np.clip(found[f"pressure_{hour}"], 960, 1050).round(1)
        fields[f"temp_{hour}"] = np.clip(found[f"temp_{hour}"], -12, 49).round(1)
        speed = np.maximum(np.round(found[f"wind_speed_{hour}"]), 0)
        calm = speed < _CALM_KMH
        fields[f"wind_speed_{hour}"] = np.where(calm, 0, speed)
        fields[f"wind_dir_{hour}"] = np.where(calm, np.nan, _sector(found[f"wind_u_{hour}"], found[f"wind_v_{hour}"]))
    hours = (fields["temp_9am"], fields["temp_3pm"])
    fields["min_temp"] = np.minimum(np.clip(found["min_temp"], -15, 49).round(1), np.minimum(*hours))
    fields["max_temp"] = np.maximum(np.clip(found["max_temp"], -12, 50).round(1), np.maximum(*hours))
    fields["sunshine"] = np.clip(found["sunshine"], 0, day_length(days, latitude)).round(1)
    fields["evaporation"] = np.clip(np.round(found["evaporation"] * 5) / 5, 0, 40)
    fastest = np.maximum(fields["wind_speed_9am"], fields["wind_speed_3pm"])
    fields["wind_gust_speed"] = np.maximum(np.round(found["wind_gust_speed"]), np.maximum(fastest + 2, 6))
    fields["wind_gust_dir"] = _sector(found["gust_u"], found["gust_v"])
    return fields


def _sector(eastward: Floats, northward: Floats) -> Floats:
    """The compass sector 0..15 it blows from."""
    sector: Floats = np.round(np.arctan2(-eastward, -northward) / (np.pi / 8)) % 16
    return sector
