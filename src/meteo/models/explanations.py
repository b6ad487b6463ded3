"""How much each feature moved the log-odds of a forecast, by model kind."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from meteo.errors import InvalidInput
from meteo.features.matrix import FEATURE_NAMES
from meteo.observation import Floats

BOOSTER, LINEAR = "model.ubj", "linear.json"
Matrix = NDArray[np.float32]


class Reasons(Protocol):
    """How a kind explains a margin."""

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        """Effects on the log-odds (n, d) and the base; base + a row's effects = its margin."""
        ...


class TreeReasons:
    """Shapley values of a boosted model's trees, by XGBoost, which is imported when they are first asked for."""

    def __init__(self, booster: bytes) -> None:
        self._file = booster
        self._booster: Any = None

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        import xgboost

        if self._booster is None:
            booster = xgboost.Booster(model_file=bytearray(self._file))
            booster.set_param({"nthread": 1})
            self._booster = booster
        rows = xgboost.DMatrix(matrix, feature_names=list(FEATURE_NAMES), nthread=1)
        effects = self._booster.predict(rows, pred_contribs=True).astype(float)
        return effects[:, :-1], float(effects[0, -1])


@dataclass(frozen=True)
class LinearReasons:
    """The log-odds `base` + sum over features of `weight` (known or `fill` - `mean`) + `gap` where it is missing."""

    base: float
    fill: list[float]
    mean: list[float]
    weight: list[float]
    gap: list[float]

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        missing = np.isnan(matrix)
        known = np.where(missing, np.array(self.fill), matrix.astype(float))
        return (known - np.array(self.mean)) * np.array(self.weight) + missing * np.array(self.gap), self.base


class NoReasons:
    """Of a kind whose effects on the log-odds are not to be had."""

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        message = "reasons are not available for a random_forest model; ask without explain or use another model"
        raise InvalidInput(f"explain: {message}", [("explain", message)])


def reasons_in(files: Mapping[str, bytes]) -> Reasons:
    if BOOSTER in files:
        return TreeReasons(files[BOOSTER])
    return LinearReasons(**json.loads(files[LINEAR])) if LINEAR in files else NoReasons()


def linear_file(reasons: LinearReasons) -> bytes:
    """What `linear.json` holds."""
    return json.dumps(asdict(reasons)).encode()
