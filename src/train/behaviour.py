"""Whether a model answers to the weather as a forecaster would expect: what surely speaks for rain must not lower its
chance by much. Scores alone would not show it: a model may be right on average for the wrong reasons."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meteo.features.matrix import NEIGHBOUR_COLUMNS, NEIGHBOUR_NAMES, feature_matrix
from meteo.features.neighbours import Matrix
from meteo.models.bundle import Model
from meteo.observation import INDEX, Observations
from train.dataset import Part

SAMPLE = 3000
MUCH = 0.1
MOST_MUCH_LOWER = 0.05
LOWEST_MEAN = -0.01
"""No more than 5 % of days may lose more than 0.1, nor all of them 0.01 on average."""


@dataclass(frozen=True)
class _Others:
    """Surroundings that are known already."""

    matrix: Matrix

    def columns(self, _: NDArray[np.str_], __: NDArray[np.datetime64]) -> Matrix:
        return self.matrix


def _damper(rows: Observations, others: Matrix) -> tuple[Observations, Matrix]:
    values = rows.values.copy()
    values[:, INDEX["humidity_3pm"]] = np.minimum(values[:, INDEX["humidity_3pm"]] + 15, 100)
    return Observations(rows.station, rows.day, values), others


def _falling(rows: Observations, others: Matrix) -> tuple[Observations, Matrix]:
    values = rows.values.copy()
    values[:, INDEX["pressure_3pm"]] -= 4
    return Observations(rows.station, rows.day, values), others


def _rain_in_the_west(rows: Observations, others: Matrix) -> tuple[Observations, Matrix]:
    wet = others.copy()
    for name in ("rainfall_west_400_km", "rainfall_west_1000_km"):
        wet[:, NEIGHBOUR_NAMES.index(name)] += 8
    return rows, wet


CHECKS: dict[str, Callable[[Observations, Matrix], tuple[Observations, Matrix]]] = {
    "15 % more humidity at 3pm": _damper,
    "pressure 4 hPa lower at 3pm": _falling,
    "8 mm more rain in the west": _rain_in_the_west,
}


def behaviour(model: Model, test: Part, seed: int) -> dict[str, dict[str, float]]:
    """For each check the mean change of the chance and the share of days on which it fell by more than 0.1, over a
    sample of the holdout."""
    chosen = np.random.default_rng(seed).permutation(len(test))[:SAMPLE]
    rows = test.observations[chosen]
    others = np.ascontiguousarray(test.matrix[chosen][:, NEIGHBOUR_COLUMNS])
    before = model.probability(feature_matrix(rows, _Others(others), model.climate))
    changes = {}
    for name, change in CHECKS.items():
        changed, around = change(rows, others)
        difference = model.probability(feature_matrix(changed, _Others(around), model.climate)) - before
        changes[name] = {"mean": float(difference.mean()), "much_lower": float((difference < -MUCH).mean())}
    return changes


def objections(found: dict[str, dict[str, float]]) -> list[str]:
    """Which checks speak against the model, with the numbers."""
    return [
        f"with {name} the chance changes by {scores['mean']:+.3f} on average and falls by more than {MUCH:g} on "
        f"{scores['much_lower']:.1%} of days"
        for name, scores in found.items()
        if scores["mean"] < LOWEST_MEAN or scores["much_lower"] > MOST_MUCH_LOWER
    ]
