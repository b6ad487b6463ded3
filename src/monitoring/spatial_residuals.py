"""How far each reading is from what the season and the other stations say it should be.

A plain comparison with the past alarms at every unusual week, and weather is shared: what a fault at one station does
not share with the others is what remains when both are taken away. Pure numpy.
"""

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from meteo.features.station_row import STATIONS, places
from meteo.observation import INDEX, NAMES, Floats, Observations

CHANNELS = {
    "temperature": ("min_temp", "max_temp", "temp_9am", "temp_3pm"),
    "rainfall": ("rainfall",),
    "evaporation": ("evaporation",),
    "sunshine": ("sunshine",),
    "wind": ("wind_gust_speed", "wind_speed_9am", "wind_speed_3pm"),
    "humidity": ("humidity_9am", "humidity_3pm"),
    "cloud": ("cloud_9am", "cloud_3pm"),
    "pressure": ("pressure_9am", "pressure_3pm"),
}
"""What one instrument measures, or several that fail alike."""

WATCHED = tuple(name for names in CHANNELS.values() for name in names)
"""Fields in the order of the last axis of anomalies and departures."""

_COLUMNS = [INDEX[name] for name in WATCHED]
_SKEWED = [WATCHED.index(name) for name in ("rainfall", "evaporation", *CHANNELS["wind"])]
"""Compared by log(1 + x): a factor is then a shift, and one storm is not the whole week."""

ENOUGH_DAYS = 300
"""Known days a station's field needs in the reference: less than a year says nothing of its seasons."""
COMMON_DAYS = 200
NEIGHBOURS = 8
RIDGE = 0.02
LEAST_LEFT = 0.02
"""Of the variance, what neighbours never explain: two stations that copy each other are not proof of each other."""
LEAST_SCALE = 0.5


@dataclass(frozen=True)
class Panel:
    """All stations' readings from day `first` on: values (days, stations, fields), NaN where missing."""

    first: np.datetime64
    values: Floats

    @classmethod
    def of(cls, observations: Observations) -> "Panel":
        """From at least one row; a station-day must not occur twice."""
        first = observations.day.min()
        day = (observations.day - first).astype(int)
        values = np.full((int(day.max()) + 1, len(STATIONS), len(NAMES)), np.nan)
        values[day, places(observations.station)] = observations.values
        return cls(first, values)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def days(self) -> NDArray[np.datetime64]:
        days: NDArray[np.datetime64] = self.first + np.arange(len(self))
        return days

    def __getitem__(self, days: slice) -> "Panel":
        return Panel(self.first + (days.start or 0), self.values[days])


@dataclass(frozen=True)
class Network:
    """What the reference taught: `season` (harmonics, stations, watched), `spread` (stations, watched) of the
    anomalies, `likeness` (watched, stations, stations) their correlations, `scale` (stations, watched) of the
    departures."""

    season: Floats
    spread: Floats
    likeness: Floats
    scale: Floats

    @classmethod
    def fit(cls, reference: Panel) -> "Network":
        """From a period in which the instruments are taken to be sound."""
        return cls.fit_transform(reference)[0]

    @classmethod
    def fit_transform(cls, reference: Panel) -> tuple["Network", Floats]:
        """The same, with the departures of that period."""
        readings, terms = _readings(reference), _harmonics(reference.days)
        season = np.full((terms.shape[1], *readings.shape[1:]), np.nan)
        for place in range(readings.shape[1]):
            for column in range(readings.shape[2]):
                known = ~np.isnan(readings[:, place, column])
                if known.sum() >= ENOUGH_DAYS:
                    values = readings[known, place, column]
                    season[:, place, column] = np.linalg.lstsq(terms[known], values, rcond=None)[0]
        anomaly = readings - np.tensordot(terms, season, 1)
        count = (~np.isnan(anomaly)).sum(axis=0)
        spread = np.sqrt(np.nansum(anomaly**2, axis=0) / np.where(count, count, np.nan))
        spread = np.where(spread > 0, spread, np.nan)
        unscaled = cls(season, spread, _correlations(anomaly), np.ones_like(spread))
        departures = unscaled.departures(reference)
        scale = np.maximum(robust_spread(departures, 0.25), LEAST_SCALE)
        return cls(season, spread, unscaled.likeness, scale), departures / scale

    def anomalies(self, panel: Panel) -> Floats:
        """Readings less the season's, in units of their spread, (days, stations, watched)."""
        anomaly: Floats = (_readings(panel) - np.tensordot(_harmonics(panel.days), self.season, 1)) / self.spread
        return anomaly

    def departures(self, panel: Panel) -> Floats:
        """Anomalies less what those of the most alike stations lead to expect, in units of the error of that
        expectation, (days, stations, watched): simple kriging with the reference's own correlations."""
        anomaly = self.anomalies(panel)
        departures = np.full_like(anomaly, np.nan)
        bits = 1 << np.arange(NEIGHBOURS)
        for column, (stations, near) in enumerate(self._neighbours):
            other = anomaly[:, near, column]
            heard = ~np.isnan(other) & (near >= 0)
            pattern = heard @ bits + (np.arange(len(stations)) << NEIGHBOURS)
            patterns, row = np.unique(pattern, return_inverse=True)
            index = patterns >> NEIGHBOURS
            weight, error = self._weights(column, stations[index], near[index], (patterns[:, None] & bits) > 0)
            expected = (np.where(heard, other, 0) * weight[row]).sum(axis=-1)
            departures[:, stations, column] = (anomaly[:, stations, column] - expected) / error[row]
        scaled: Floats = departures / self.scale
        return scaled

    @cached_property
    def _neighbours(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """For each watched field the stations that are known, (stations,), and those most like each,
        (stations, NEIGHBOURS); -1 where there are fewer."""
        neighbours = []
        for column, likeness in enumerate(self.likeness):
            known = np.flatnonzero(~np.isnan(self.spread[:, column]))
            near = np.full((len(known), NEIGHBOURS), -1)
            for index, place in enumerate(known):
                order = known[np.argsort(-likeness[place, known], kind="stable")]
                alike = order[(order != place) & (likeness[place, order] > 0)][:NEIGHBOURS]
                near[index, : len(alike)] = alike
            neighbours.append((known, near))
        return neighbours

    def _weights(
        self, column: int, place: NDArray[np.intp], near: NDArray[np.intp], heard: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """For each pattern of neighbours `near` the `place` that are heard, (patterns, neighbours): their weights, 0
        for those that are not, and the error that they leave, (patterns,)."""
        likeness = self.likeness[column]
        towards = np.where(heard, likeness[place[:, None], near], 0)
        both = heard[:, :, None] & heard[:, None, :]
        among = np.where(both, likeness[near[:, :, None], near[:, None, :]], 0) + RIDGE * np.eye(NEIGHBOURS)
        among[:, range(NEIGHBOURS), range(NEIGHBOURS)] += ~heard  # alone in its row: any number but 0 will do
        weight = np.linalg.solve(among, towards[..., None])[..., 0].astype(float)
        error: Floats = np.sqrt(np.maximum(1 - (weight * towards).sum(axis=1), LEAST_LEFT))
        return weight, error


def by_channel(values: Floats) -> Floats:
    """The mean over each channel's fields, (days, stations, channels); NaN where none is known."""
    means = np.empty((*values.shape[:2], len(CHANNELS)))
    for index, names in enumerate(CHANNELS.values()):
        part = values[..., [WATCHED.index(name) for name in names]]
        means[..., index] = mean(part, axis=-1)
    return means


def mean(values: Floats, axis: int) -> Floats:
    """The mean of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total: Floats = np.where(known, values, 0).sum(axis=axis) / np.where(count, count, np.nan)
    return total


def robust_spread(values: Floats, tail: float) -> Floats:
    """The standard deviation that a normal distribution with these two quantiles, `tail` and 1 - `tail`, would have,
    along the first axis; NaN where nothing is known."""
    count = (~np.isnan(values)).sum(axis=0)
    ordered = np.sort(values, axis=0)  # what is not known comes last; numpy's own nanquantile goes column by column
    low, high = (_at(ordered, share * np.maximum(count - 1, 0)) for share in (tail, 1 - tail))
    spread: Floats = (high - low) / (2 * NormalDist().inv_cdf(1 - tail))
    return spread


def _at(ordered: Floats, place: Floats) -> Floats:
    """The values at these places along the first axis, between two where a place is."""
    before = np.floor(place).astype(int)
    after = np.ceil(place).astype(int)
    low, high = (np.take_along_axis(ordered, index[None], axis=0)[0] for index in (before, after))
    between: Floats = low + (high - low) * (place - before)
    return between


def _readings(panel: Panel) -> Floats:
    readings = panel.values[..., _COLUMNS]
    readings[..., _SKEWED] = np.log1p(readings[..., _SKEWED])
    return readings


def _harmonics(days: NDArray[np.datetime64]) -> Floats:
    """A constant and two waves of the year, (days, 5)."""
    angle = 2 * np.pi / 365.25 * (days - days.astype("datetime64[Y]")).astype(int)
    return np.stack([np.ones(len(days)), *(wave(n * angle) for n in (1, 2) for wave in (np.sin, np.cos))], axis=1)


def _correlations(anomaly: Floats) -> Floats:
    """Over the days both know, (watched, stations, stations); 0 where these are too few."""
    correlations = np.empty((anomaly.shape[2], anomaly.shape[1], anomaly.shape[1]))
    for column in range(anomaly.shape[2]):
        values = anomaly[..., column]
        known = (~np.isnan(values)).astype(float)
        filled = np.nan_to_num(values)
        common, squares = known.T @ known, (filled**2).T @ known
        correlations[column] = np.where(
            common >= COMMON_DAYS, filled.T @ filled / np.sqrt(np.maximum(squares * squares.T, 1e-12)), 0
        )
        np.fill_diagonal(correlations[column], 1)
    return correlations
