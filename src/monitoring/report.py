"""Recent readings beside those of the same season in the reference years: their distances, and Evidently's page.

Evidently chooses its test by the number of rows; method and threshold of each field are pinned here instead. A page
takes it seconds: the distances are computed without it, the way it does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import DatasetMissingValueCount
from evidently.presets import DataDriftPreset
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from meteo.observation import FIELDS, NAMES, Floats
from monitoring.spatial_residuals import Panel

SEASON_DAYS = 15
"""A reference day counts when it is so many days or fewer from the window's middle, in any year."""
LEAST_ROWS = 50
MINIMUM_KNOWN = 20

METHODS = {field.name: "jensenshannon" if field.compass else "wasserstein" for field in FIELDS}
LIMITS = {
    "min_temp": 0.81,
    "max_temp": 1.23,
    "rainfall": 0.98,
    "evaporation": 1.28,
    "sunshine": 0.9,
    "wind_gust_dir": 0.49,
    "wind_gust_speed": 0.94,
    "temp_9am": 0.87,
    "humidity_9am": 0.7,
    "cloud_9am": 0.65,
    "wind_dir_9am": 0.4,
    "wind_speed_9am": 0.66,
    "pressure_9am": 1.9,
    "temp_3pm": 1.24,
    "humidity_3pm": 0.81,
    "cloud_3pm": 0.74,
    "wind_dir_3pm": 0.44,
    "wind_speed_3pm": 0.81,
    "pressure_3pm": 1.92,
}
"""Three tenths more than the largest distance of any week of 2014 and 2015 from 2008 to 2013 (weatherAUS, all
stations); no week of 2016 and 2017 was beyond them. Wasserstein distances are in standard deviations of the
reference."""


@dataclass(frozen=True)
class Column:
    """One field's distance between the two sets of rows."""

    field: str
    method: str
    distance: float
    threshold: float

    @property
    def drifted(self) -> bool:
        return self.distance > self.threshold


def same_season(days: NDArray[np.datetime64], middle: np.datetime64) -> NDArray[np.bool_]:
    """Which days are of the window's season."""
    apart = np.abs(_day_of_year(days) - _day_of_year(np.array([middle])))
    season: NDArray[np.bool_] = np.minimum(apart, 365 - apart) <= SEASON_DAYS
    return season


def season_rows(reference: Panel, middle: np.datetime64, places: NDArray[np.intp] | None = None) -> Floats:
    """The reference's readings of the season, (rows, fields), at some stations or all."""
    values = reference.values[same_season(reference.days, middle)]
    return known_rows(values if places is None else values[:, places])


def known_rows(values: Floats) -> Floats:
    """Station-days (…, fields) as rows, without those that know nothing."""
    rows = values.reshape(-1, len(NAMES))
    known: Floats = rows[~np.isnan(rows).all(axis=1)]
    return known


def compare(current: Floats, reference: Floats) -> tuple[Column, ...]:
    """The distances of the fields that two sets of rows (n, fields) both know; none when either is too small to say
    anything."""
    if min(len(current), len(reference)) < LEAST_ROWS:
        return ()
    columns = []
    for index, field in enumerate(FIELDS):
        now, before = (rows[~np.isnan(rows[:, index]), index] for rows in (current, reference))
        if min(len(now), len(before)) >= MINIMUM_KNOWN:
            distance = (_of_shares if field.compass else _of_numbers)(now, before)
            columns.append(Column(field.name, METHODS[field.name], distance, LIMITS[field.name]))
    return tuple(columns)


def page(current: Floats, reference: Floats, columns: Sequence[Column]) -> str:
    """Evidently's page of what was compared."""
    compass = {field.name for field in FIELDS if field.compass}
    names = [column.field for column in columns]
    definition = DataDefinition(
        numerical_columns=[name for name in names if name not in compass],
        categorical_columns=[name for name in names if name in compass],
    )
    preset = DataDriftPreset(
        columns=names,
        per_column_method={column.field: column.method for column in columns},
        per_column_threshold={column.field: column.threshold for column in columns},
    )
    report = Report([preset, DatasetMissingValueCount()], include_tests=True)
    snapshot = report.run(*(Dataset.from_pandas(_frame(rows)[names], definition) for rows in (current, reference)))
    html: str = snapshot.get_html_str(as_iframe=False)
    return html


def _of_numbers(now: Floats, before: Floats) -> float:
    return float(wasserstein_distance(before, now)) / max(float(np.std(before)), 0.001)


def _of_shares(now: Floats, before: Floats) -> float:
    shares = [np.bincount(sectors.astype(int), minlength=16) / len(sectors) for sectors in (before, now)]
    return float(jensenshannon(*shares))


def _frame(rows: Floats) -> pd.DataFrame:
    """Numbers as they are, directions as compass points."""
    return pd.DataFrame(
        {
            field.name: [field.text(value) for value in rows[:, index]] if field.compass else rows[:, index]
            for index, field in enumerate(FIELDS)
        }
    )


def _day_of_year(days: NDArray[np.datetime64]) -> NDArray[np.int_]:
    number: NDArray[np.int_] = (days - days.astype("datetime64[Y]")).astype(int)
    return number
