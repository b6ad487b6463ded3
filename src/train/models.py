"""The model kinds: each takes a training and a validation part and gives an estimator of the kernel."""

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

ROUNDS = 3000
PATIENCE = 50


@dataclass(frozen=True)
class Kind:
    """A model kind: its file in a bundle, the parameters it takes with their defaults, and how it is fitted."""

    file: str
    defaults: Params
    fit: Callable[[Part, Part, dict[str, Any], int, Progress], Estimator]

    def parameters(self, given: Params) -> dict[str, float | int | str]:
        """Defaults overridden by `given`; InvalidInput names what this kind does not take."""
        unknown = sorted(set(given) - set(self.defaults))
        if unknown:
            message = f"unknown parameter(s) {', '.join(unknown)}; known: {', '.join(self.defaults)}"
            raise InvalidInput(f"params: {message}", [(f"params.{name}", "unknown") for name in unknown])
        return {**self.defaults, **given}


def _fit_xgboost(train: Part, validation: Part, params: dict[str, Any], seed: int, progress: Progress) -> Estimator:
    names = list(features.NAMES)
    watched = xgboost.DMatrix(validation.matrix, validation.label, feature_names=names)
    booster = xgboost.train(
        {"objective": "binary:logistic", "eval_metric": "logloss", "seed": seed, **params},
        xgboost.DMatrix(train.matrix, train.label, feature_names=names),
        ROUNDS,
        evals=[(watched, "validation")],
        early_stopping_rounds=PATIENCE,
        callbacks=[_Rounds(progress)],
        verbose_eval=False,
    )
    return XGBoost(booster[: booster.best_iteration + 1])


def _fit_logistic(train: Part, validation: Part, params: dict[str, Any], seed: int, progress: Progress) -> Estimator:
    progress("logistic regression")
    regression = LogisticRegression(max_iter=500, random_state=seed, **params)
    pipeline = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler(), regression)
    return Logistic(pipeline.fit(train.matrix, train.label))


def _fit_forest(train: Part, validation: Part, params: dict[str, Any], seed: int, progress: Progress) -> Estimator:
    progress("random forest")
    forest = RandomForestClassifier(n_jobs=-1, random_state=seed, **params)
    return RandomForest(make_pipeline(SimpleImputer(keep_empty_features=True), forest).fit(train.matrix, train.label))


class _Rounds(xgboost.callback.TrainingCallback):
    """Tells `progress` how boosting goes."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        loss = evals_log["validation"]["logloss"][-1]
        self._progress(f"round {epoch + 1}, validation log loss {loss:.4f}")
        return not np.isfinite(loss)


KINDS = {
    "xgboost": Kind(
        "model.ubj",
        {"max_depth": 7, "eta": 0.03, "subsample": 0.8, "colsample_bytree": 0.5, "min_child_weight": 20, "lambda": 5},
        _fit_xgboost,
    ),
    "logistic": Kind("model.pkl", {"C": 0.1}, _fit_logistic),
    "random_forest": Kind("model.pkl", {"n_estimators": 200, "min_samples_leaf": 10, "max_features": 0.3}, _fit_forest),
}
