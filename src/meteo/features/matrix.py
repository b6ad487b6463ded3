"""Observations -> X (n, d): the one transform, used by training, by batch and by the API for a single row.

The station's own row, its climate, its surroundings on that day, and the pressure around it less its own. X is float32
as XGBoost sees it; a missing input makes exactly the features that need it NaN.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meteo.features import climatology, neighbours, station_row
from meteo.features.climatology import Climate
from meteo.features.neighbours import Matrix
from meteo.observation import Floats, Observations

_RELATIVE = tuple(f"{neighbours.NAMES[column]}_less_own" for column in neighbours.PRESSURE_AROUND)
FEATURE_NAMES = (*station_row.NAMES, *climatology.NAMES, *neighbours.NAMES, *_RELATIVE)
"""Column names of X, in order."""


NEIGHBOUR_NAMES = neighbours.NAMES
_OWN, _USUAL, _OTHERS = np.cumsum([len(station_row.NAMES), len(climatology.NAMES), len(neighbours.NAMES)]).tolist()
NEIGHBOUR_COLUMNS = slice(_USUAL, _OTHERS)
"""Where the surroundings stand among the columns of X."""
_AROUND = np.array(neighbours.PRESSURE_AROUND)


class Around(Protocol):
    """What is known of the other stations (`meteo.features.neighbours.Surroundings`)."""

    def columns(self, station: NDArray[np.str_], day: NDArray[np.datetime64]) -> Matrix:
        """The surroundings of each row, (n, len(neighbours.NAMES))."""
        ...


def feature_matrix(observations: Observations, around: Around, usual: Climate, rained: Floats | None = None) -> Matrix:
    """X, (n, len(FEATURE_NAMES)).

    `rained` (n,) says whether it rained where that is known without an amount; by default it follows from rainfall.
    """
    station, day = observations.station, observations.day
    own = station_row.columns(observations, rained)
    others = around.columns(station, day)
    matrix = np.empty((len(observations), len(FEATURE_NAMES)), np.float32)
    matrix[:, :_OWN] = own
    matrix[:, _OWN:_USUAL] = usual.columns(station, day, own)
    matrix[:, _USUAL:_OTHERS] = others
    matrix[:, _OTHERS:] = others[:, _AROUND] - observations.column("pressure_3pm")[:, None]
    return matrix


def with_climate(matrix: NDArray[np.float32], observations: Observations, usual: Climate) -> NDArray[np.float32]:
    """X of the same rows as another model sees it, which learnt with another climate."""
    replaced = matrix.copy()
    start = len(station_row.NAMES)
    columns = usual.columns(observations.station, observations.day, station_row.columns(observations))
    replaced[:, start : start + len(climatology.NAMES)] = columns
    return replaced
