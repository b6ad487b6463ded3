"""Rows with something left out, to learn from beside the full ones: what is missing in use is missing in training.

People fill in a few fields; in the afternoon no maximum, gust or sunshine is in yet, anywhere; in the morning only the
9am readings are; and for a day that is not stored there are no neighbours at all.
"""

import numpy as np
from numpy.typing import NDArray

from meteo.features import station_row
from meteo.features.climatology import Climate
from meteo.features.matrix import feature_matrix
from meteo.features.neighbours import Surroundings
from meteo.features.station_row import STATIONS, places
from meteo.observation import FIELDS, NAMES, Observations
from train.dataset import Part

MORNING = np.array([field.block == "9am" or field.name in ("min_temp", "rainfall", "evaporation") for field in FIELDS])
AFTERNOON = MORNING | np.array([field.block == "3pm" for field in FIELDS])
"""The fields that are known after 9am and after 3pm."""

_DAYS = {"full": 0.2, "alone": 0.25, "afternoon": 0.15, "morning": 0.25, "few": 0.15}
"""How much of the surroundings a day keeps, and the share of such days: all; nothing; what is known in the afternoon or
morning; some stations with some fields."""


def masked(past: Observations, part: Part, climate: Climate, share: float, generator: np.random.Generator) -> Part:
    """Rows of `part`, `share` of its number, with surroundings made of `past` of which something is left out by days,
    and with fields of their own left out; one in three keeps the answer "did it rain today" without the amount."""
    first = past.day.min()
    state = generator.choice(list(_DAYS), p=list(_DAYS.values()), size=int((past.day.max() - first).astype(int)) + 1)
    around = Surroundings.of(_thinned(past, state[(past.day - first).astype(int)], generator))

    rows = generator.choice(len(part), size=int(len(part) * share), replace=share > 1)
    chosen = part.observations[rows]
    day = state[(chosen.day - first).astype(int)]
    kept = _kept(len(rows), day, generator)
    sparse = Observations(chosen.station, chosen.day, np.where(kept, chosen.values, np.nan))
    known = station_row.rain_today(chosen)
    told = ~np.isnan(sparse.column("rainfall")) | (generator.uniform(size=len(rows)) < 1 / 3)
    matrix = feature_matrix(sparse, around, climate, np.where(told, known, np.nan))
    return Part(sparse, matrix, part.label[rows])


def _thinned(past: Observations, state: NDArray[np.str_], generator: np.random.Generator) -> Observations:
    """What the stations are taken to have reported; on a day of "few", a share of stations and the same fields of each,
    both drawn for the day."""
    days = (past.day - past.day.min()).astype(int)
    width = int(days.max()) + 1
    stations = generator.uniform(size=(width, len(STATIONS))) < generator.uniform(0.1, 1, (width, 1))
    fields = generator.uniform(size=(width, len(NAMES))) < generator.uniform(0.1, 1.2, (width, 1))
    kept = np.ones_like(past.values, dtype=bool)
    kept[state == "alone"] = False
    kept[state == "afternoon"] = AFTERNOON
    kept[state == "morning"] = MORNING
    few = state == "few"
    kept[few] = fields[days[few]] & stations[days[few], places(past.station[few])][:, None]
    return Observations(past.station, past.day, np.where(kept, past.values, np.nan))


def _kept(count: int, state: NDArray[np.str_], generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which fields a row keeps: those of the time of day, or each with a chance drawn for the row; a full row is among
    them wherever the surroundings are not, since that is missing enough."""
    kept = generator.uniform(size=(count, len(FIELDS))) < generator.uniform(0.05, 0.95, size=(count, 1))
    whole = (generator.uniform(size=count) < 1 / 3) & np.isin(state, ["alone", "few"])
    kept[whole] = True
    timely = generator.uniform(size=count) < 2 / 3
    kept[timely & (state == "afternoon")] = AFTERNOON
    kept[timely & (state == "morning")] = MORNING
    return kept
