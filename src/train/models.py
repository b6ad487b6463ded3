"""The model kinds: each takes a part to learn from and gives an estimator of the kernel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from meteo import features
from meteo.errors import InvalidInput
from meteo.model import Estimator, Logistic, RandomForest, XGBoost
from train.dataset import Part

Params = Mapping[str, float | int | str]
Progress = Callable[[str], None]

HASTE = 4
"""The rehearsal learns so many times faster than the model, in so many times fewer rounds."""
_MORE = 1.5
"""The model learns from more days, the newest among them, and bears more rounds."""
_MOST_ROUNDS = 500
_PATIENCE = 30


@dataclass(frozen=True)
class Kind:
    """A model kind: its file in a bundle, the parameters it takes with their defaults, and how it is fitted.

    `rehearse` learns from one part, is judged on a later one, and gives the parameters it found.
    """

    file: str
    defaults: Params
    fit: Callable[[Part, dict[str, Any], int, Progress], Estimator]
    rehearse: Callable[[Part, Part, dict[str, Any], int, Progress], tuple[Estimator, Params]]

    def parameters(self, given: Params) -> dict[str, float | int | str]:
        """Defaults overridden by `given`; InvalidInput names what this kind does not take."""
        unknown = sorted(set(given) - set(self.defaults))
        if unknown:
            message = f"unknown parameter(s) {', '.join(unknown)}; known: {', '.join(self.defaults)}"
            raise InvalidInput(f"params: {message}", [(f"params.{name}", "unknown") for name in unknown])
        return {**self.defaults, **given}


def _fit_xgboost(part: Part, params: dict[str, Any], seed: int, progress: Progress) -> Estimator:
    rounds = int(params["rounds"])
    return XGBoost(_boost(part, params, rounds, seed, [_Rounds(progress, rounds)]))


def _rehearse_xgboost(
    train: Part, validation: Part, params: dict[str, Any], seed: int, progress: Progress
) -> tuple[Estimator, Params]:
    """With `rounds` 0 as many as served the validation part best."""
    hasty = {**params, "eta": params["eta"] * HASTE}
    if params["rounds"]:
        rounds = max(1, int(params["rounds"]) // HASTE)
        return XGBoost(_boost(train, hasty, rounds, seed, [_Rounds(progress, rounds)])), {}
    watched = xgboost.DMatrix(validation.matrix, validation.label, feature_names=list(features.NAMES))
    booster = _boost(train, hasty, _MOST_ROUNDS, seed, [_Rounds(progress, _MOST_ROUNDS)],
                     evals=[(watched, "validation")], early_stopping_rounds=_PATIENCE)  # fmt: skip
    best = booster.best_iteration + 1
    return XGBoost(booster[:best]), {"rounds": int(best * HASTE * _MORE)}


def _boost(
    part: Part, params: dict[str, Any], rounds: int, seed: int, callbacks: list[Any], **more: Any
) -> xgboost.Booster:
    given = {name: value for name, value in params.items() if name != "rounds"}
    data = xgboost.QuantileDMatrix(
        part.matrix, part.label, feature_names=list(features.NAMES), max_bin=int(given["max_bin"])
    )
    return xgboost.train(
        {"objective": "binary:logistic", "eval_metric": "logloss", "seed": seed, **given}, data, rounds,
        callbacks=callbacks, verbose_eval=False, **more,
    )  # fmt: skip


def _fit_logistic(part: Part, params: dict[str, Any], seed: int, progress: Progress) -> Estimator:
    progress("logistic regression")
    regression = LogisticRegression(max_iter=500, random_state=seed, **params)
    pipeline = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler(), regression)
    return Logistic(pipeline.fit(part.matrix, part.label))


def _fit_forest(part: Part, params: dict[str, Any], seed: int, progress: Progress) -> Estimator:
    progress("random forest")
    forest = RandomForestClassifier(n_jobs=-1, random_state=seed, **params)
    return RandomForest(make_pipeline(SimpleImputer(keep_empty_features=True), forest).fit(part.matrix, part.label))


def _plainly(
    fit: Callable[[Part, dict[str, Any], int, Progress], Estimator],
) -> Callable[[Part, Part, dict[str, Any], int, Progress], tuple[Estimator, Params]]:
    """A rehearsal that leaves nothing open."""
    return lambda train, _, params, seed, progress: (fit(train, params, seed, progress), {})


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
        self._progress(f"rehearsal, round {epoch + 1}, validation log loss {loss:.4f}")
        return not np.isfinite(loss)


KINDS = {
    "xgboost": Kind(
        "model.ubj",
        {"rounds": 0, "max_depth": 9, "eta": 0.03, "subsample": 0.5, "colsample_bytree": 0.2, "min_child_weight": 60,
         "lambda": 5, "max_bin": 64},
        _fit_xgboost, _rehearse_xgboost,
    ),
    "logistic": Kind("model.pkl", {"C": 0.1}, _fit_logistic, _plainly(_fit_logistic)),
    "random_forest": Kind(
        "model.pkl", {"n_estimators": 200, "min_samples_leaf": 10, "max_features": 0.3},
        _fit_forest, _plainly(_fit_forest),
    ),
}  # fmt: skip
