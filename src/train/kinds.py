"""The model kinds: each takes a part to learn from and gives the files that a bundle of the kernel holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from meteo.features.matrix import FEATURE_NAMES
from meteo.models.bundle import sigmoid
from meteo.models.card import GRAPH
from meteo.models.explanations import BOOSTER, LINEAR, LinearReasons, linear_file
from meteo.observation import Floats
from meteo.training_parameters import ModelKind, Params, checked, defaults
from train import onnx_export
from train.dataset import Part

Progress = Callable[[str], None]
Files = Mapping[str, bytes]

TUNING_SPEEDUP = 4
"""Tuning learns so many times faster than the model, in so many times fewer rounds."""
_MORE = 1.5
"""The model learns from more days, the newest among them, and bears more rounds."""
_MOST_LEARNT = 28.0
"""The most rounds times their learning rate: beyond, forecasts get sharper than they are right, and slower."""
_PATIENCE = 30


@dataclass(frozen=True)
class Kind:
    """A model kind: the bounds of those of its parameters that can be searched (and whether on a logarithmic scale),
    and how it is fitted.

    `fit` gives the files of a bundle that hold what was learnt. `tune_on_validation` learns from one part and gives the
    chances (n,) it sees for a later one, with the parameters it found on the way.
    """

    name: ModelKind
    space: Mapping[str, tuple[float, float, bool]]
    fit: Callable[[Part, dict[str, Any], int, Progress], Files]
    tune_on_validation: Callable[[Part, Part, dict[str, Any], int, Progress], tuple[Floats, Params]]

    def parameters(self, given: Params) -> dict[str, float | int | str]:
        """Defaults overridden by `given`; InvalidInput names what this kind does not take."""
        return {**defaults(self.name), **checked(self.name, given)}


def _fit_xgboost(part: Part, params: dict[str, Any], seed: int, progress: Progress) -> Files:
    rounds = int(params["rounds"])
    booster = _boost(part, params, rounds, seed, [_Rounds(progress, rounds)])
    return {GRAPH: onnx_export.boosted(booster), BOOSTER: bytes(booster.save_raw("ubj"))}


def _tune_xgboost(
    train: Part, validation: Part, params: dict[str, Any], seed: int, progress: Progress
) -> tuple[Floats, Params]:
    """With `rounds` 0 as many as served the validation part best."""
    faster = {**params, "eta": params["eta"] * TUNING_SPEEDUP}
    if params["rounds"]:
        rounds = max(1, int(params["rounds"]) // TUNING_SPEEDUP)
        booster = _boost(train, faster, rounds, seed, [_Rounds(progress, rounds)])
        return _chances(booster, validation), {}
    watched = xgboost.DMatrix(validation.matrix, validation.label, feature_names=list(FEATURE_NAMES))
    most = max(1, int(_MOST_LEARNT / params["eta"] / (TUNING_SPEEDUP * _MORE)))
    booster = _boost(
        train,
        faster,
        most,
        seed,
        [_Rounds(progress, most)],
        evals=[(watched, "validation")],
        early_stopping_rounds=_PATIENCE,
    )
    best = booster.best_iteration + 1
    return _chances(booster[:best], validation), {"rounds": int(best * TUNING_SPEEDUP * _MORE)}


def _chances(booster: xgboost.Booster, part: Part) -> Floats:
    chances: Floats = booster.inplace_predict(part.matrix).astype(float)
    return chances


def _boost(
    part: Part, params: dict[str, Any], rounds: int, seed: int, callbacks: list[Any], **more: Any
) -> xgboost.Booster:
    given = {name: value for name, value in params.items() if name != "rounds"}
    data = xgboost.QuantileDMatrix(
        part.matrix, part.label, feature_names=list(FEATURE_NAMES), max_bin=int(given["max_bin"])
    )
    return xgboost.train(
        {"objective": "binary:logistic", "eval_metric": "logloss", "seed": seed, **given},
        data,
        rounds,
        callbacks=callbacks,
        verbose_eval=False,
        **more,
    )


def _fit_forest(part: Part, params: dict[str, Any], seed: int, progress: Progress) -> Files:
    progress("random forest")
    return {GRAPH: onnx_export.forest(_grow(part, params, seed))}


def _tune_forest(
    train: Part, validation: Part, params: dict[str, Any], seed: int, progress: Progress
) -> tuple[Floats, Params]:
    progress("random forest")
    chances = _chances(_grow(train, params, seed), validation)
    return np.clip(chances, onnx_export.LEAST_CHANCE, 1 - onnx_export.LEAST_CHANCE), {}


def _grow(part: Part, params: dict[str, Any], seed: int) -> xgboost.Booster:
    """Trees grown side by side on samples of the rows; the mean of a leaf's labels is its chance."""
    data = xgboost.QuantileDMatrix(part.matrix, part.label, max_bin=64)
    grown = {
        "objective": "reg:squarederror",
        "base_score": 0.0,
        "eta": 1.0,
        "lambda": 0.0,
        "subsample": 0.63,
        "num_parallel_tree": int(params["n_estimators"]),
        "max_depth": int(params["max_depth"]),
        "min_child_weight": params["min_samples_leaf"],
        "max_bin": 64,
        "colsample_bynode": params["max_features"],
        "seed": seed,
    }
    return xgboost.train(grown, data, 1)


def _fit_logistic(part: Part, params: dict[str, Any], seed: int, progress: Progress) -> Files:
    progress("logistic regression")
    reasons = _regress(part, params, seed)
    return {GRAPH: onnx_export.linear(reasons), LINEAR: linear_file(reasons)}


def _tune_logistic(
    train: Part, validation: Part, params: dict[str, Any], seed: int, progress: Progress
) -> tuple[Floats, Params]:
    progress("logistic regression")
    effects, base = _regress(train, params, seed).contributions(validation.matrix)
    return sigmoid(base + effects.sum(axis=1)), {}


def _regress(part: Part, params: dict[str, Any], seed: int) -> LinearReasons:
    """A logistic regression on scaled values, the missing replaced by the mean, and on which are missing; written as
    effects of the unscaled values."""
    imputer, scaler = SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler()
    regression = LogisticRegression(max_iter=500, random_state=seed, **params)
    make_pipeline(imputer, scaler, regression).fit(part.matrix, part.label)
    width = part.matrix.shape[1]
    weight = regression.coef_[0] / scaler.scale_
    gap = np.zeros(width)
    gap[imputer.indicator_.features_] = weight[width:]
    base = float(regression.intercept_[0] - weight[width:] @ scaler.mean_[width:])
    return LinearReasons(
        base, imputer.statistics_.tolist(), scaler.mean_[:width].tolist(), weight[:width].tolist(), gap.tolist()
    )


class _Rounds(xgboost.callback.TrainingCallback):
    """Tells `progress` how boosting goes."""

    def __init__(self, progress: Progress, rounds: int) -> None:
        super().__init__()
        self._progress = progress
        self._rounds = rounds

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if not evals_log:
            self._progress(f"round {epoch + 1} of {self._rounds}")
            return False
        loss = evals_log["validation"]["logloss"][-1]
        self._progress(f"tuning, round {epoch + 1}, validation log loss {loss:.4f}")
        return not np.isfinite(loss)


KINDS = {
    "xgboost": Kind(
        "xgboost",
        {"max_depth": (3, 10, False), "eta": (0.03, 0.15, True), "subsample": (0.4, 1.0, False),
         "colsample_bytree": (0.1, 0.6, False), "min_child_weight": (5, 200, True), "lambda": (1, 50, True)},
        _fit_xgboost, _tune_xgboost,
    ),
    "logistic": Kind("logistic", {"C": (0.001, 10.0, True)}, _fit_logistic, _tune_logistic),
    "random_forest": Kind(
        "random_forest",
        {"max_depth": (6, 16, False), "min_samples_leaf": (2, 100, True), "max_features": (0.05, 0.6, False)},
        _fit_forest, _tune_forest,
    ),
}  # fmt: skip
