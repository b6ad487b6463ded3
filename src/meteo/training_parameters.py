"""The parameters that each kind of model is trained with: one rule for who asks for a training and for the job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from meteo.errors import InvalidInput

ModelKind = Literal["xgboost", "logistic", "random_forest"]
Params = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Parameter:
    """A number from `low` to `high`; whole where these are."""

    default: float
    low: float
    high: float

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int)

    @property
    def sentence(self) -> str:
        """What would be right."""
        return f"must be a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:g}"

    def takes(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.low <= value <= self.high


PARAMETERS: Mapping[ModelKind, Mapping[str, Parameter]] = {
    "xgboost": {
        "rounds": Parameter(0, 0, 5000), "max_depth": Parameter(8, 1, 16), "eta": Parameter(0.05, 0.001, 1.0),
        "subsample": Parameter(0.8, 0.05, 1.0), "colsample_bytree": Parameter(0.2, 0.01, 1.0),
        "min_child_weight": Parameter(40, 0.0, 10_000.0), "lambda": Parameter(5, 0.0, 10_000.0),
        "max_bin": Parameter(64, 2, 1024),
    },
    "logistic": {"C": Parameter(0.1, 1e-6, 10_000.0)},
    "random_forest": {
        "n_estimators": Parameter(200, 1, 2000), "max_depth": Parameter(12, 1, 16),
        "min_samples_leaf": Parameter(10, 1, 10_000), "max_features": Parameter(0.3, 0.01, 1.0),
    },
}  # fmt: skip
"""By kind and name. XGBoost's `rounds` 0: as many as serve the validation part best."""


def defaults(kind: ModelKind) -> dict[str, float]:
    """What a kind is trained with unless told otherwise."""
    return {name: parameter.default for name, parameter in PARAMETERS[kind].items()}


def checked(kind: ModelKind, given: Mapping[str, Any]) -> dict[str, float | int | str]:
    """What is given; InvalidInput names each parameter that this kind does not take, or not of this value, and what
    would be right."""
    known = PARAMETERS[kind]
    unknown = f"is no parameter of {kind}, which takes {', '.join(known)}"
    wrong = [
        (f"params.{name[:64]}", known[name].sentence if name in known else unknown)
        for name, value in given.items()
        if name not in known or not known[name].takes(value)
    ]
    if wrong:
        raise InvalidInput("; ".join(f"{field!a} {message}" for field, message in wrong[:5]), wrong)
    return dict(given)
