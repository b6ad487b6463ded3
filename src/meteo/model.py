"""A published model at work: the same object scores the holdout, the batch and the API's single row.

A bundle is a folder with `card.json` (what the model is), the model file that it names and the climate the model
learnt with, whose SHA-256 it holds.
"""

import hashlib
import pickle
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from meteo import features
from meteo.climate import Climate
from meteo.errors import InvalidInput, MeteoError
from meteo.observation import Floats, Observations
from meteo.surroundings import Surroundings

CARD, CLIMATE = "card.json", "climate.json"
Matrix = NDArray[np.float32]


class UnusableModel(MeteoError):
    """A bundle that must not serve: truncated, altered, or made for other features."""

    status = 503
    title = "Unusable model"


class Card(BaseModel):
    """What a version is: enough to know where it came from and how good it was on days it never saw."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    kind: str
    file: str
    digests: dict[str, str] = {}
    features: tuple[str, ...]
    threshold: float
    trained_at: datetime
    data_version: str
    git_commit: str
    simulated: bool
    seed: int
    params: dict[str, float | int | str]
    split: dict[str, date]
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]


class Estimator(Protocol):
    """What a model kind must do with X (n, d)."""

    def margin(self, matrix: Matrix) -> Floats:
        """Log-odds of rain, (n,)."""
        ...

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        """Effects on the log-odds (n, d) and the base; base + a row's effects = its margin."""
        ...


class XGBoost:
    """A booster with a logistic objective, one thread a prediction."""

    def __init__(self, booster: Any) -> None:
        self.booster = booster
        booster.set_param({"nthread": 1})

    @classmethod
    def load(cls, path: Path) -> "XGBoost":
        import xgboost

        return cls(xgboost.Booster(model_file=path))

    def margin(self, matrix: Matrix) -> Floats:
        margin: Floats = self.booster.inplace_predict(matrix, predict_type="margin").astype(float)
        return margin

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        import xgboost

        rows = xgboost.DMatrix(matrix, feature_names=list(features.NAMES), nthread=1)
        effects = self.booster.predict(rows, pred_contribs=True).astype(float)
        return effects[:, :-1], float(effects[0, -1])


class Logistic:
    """A pipeline of imputer (with missing-value indicators), scaler and logistic regression."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    @classmethod
    def load(cls, path: Path) -> "Logistic":
        return cls(_unpickle(path))

    def margin(self, matrix: Matrix) -> Floats:
        margin: Floats = self.pipeline.decision_function(matrix).astype(float)
        return margin

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        regression = self.pipeline[-1]
        effects = self.pipeline[:-1].transform(matrix).astype(float) * regression.coef_[0]
        width = matrix.shape[1]
        of_features = effects[:, :width].copy()
        of_features[:, self.pipeline[0].indicator_.features_] += effects[:, width:]
        return of_features, float(regression.intercept_[0])


class RandomForest:
    """A pipeline of imputer and forest; its log-odds are those of the averaged trees, kept off 0 and 1."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline
        pipeline[-1].set_params(n_jobs=1)

    @classmethod
    def load(cls, path: Path) -> "RandomForest":
        return cls(_unpickle(path))

    def margin(self, matrix: Matrix) -> Floats:
        chance = np.clip(self.pipeline.predict_proba(matrix)[:, 1].astype(float), 0.001, 0.999)
        margin: Floats = np.log(chance / (1 - chance))
        return margin

    def contributions(self, matrix: Matrix) -> tuple[Floats, float]:
        message = "reasons are not available for a random_forest model; ask without explain or use another model"
        raise InvalidInput(f"explain: {message}", [("explain", message)])


class Model:
    """An estimator with the climate it learnt with and its card: what the product serves as one version."""

    def __init__(self, estimator: Estimator, climate: Climate, card: Card, version: str = "") -> None:
        self.estimator = estimator
        self.climate = climate
        self.card = card
        self.version = version

    @classmethod
    def load(cls, folder: Path, version: str) -> "Model":
        """The bundle in `folder`; UnusableModel where anything is not as its card says."""
        try:
            card = Card.model_validate_json((folder / CARD).read_bytes())
            found = {name: _digest(folder / name) for name in (card.file, CLIMATE)}
            climate = Climate.load(folder / CLIMATE)
        except (OSError, ValueError, KeyError) as error:
            raise UnusableModel(f"model version {version} cannot be read: {error}") from error
        for name, digest in found.items():
            if digest != card.digests.get(name):
                raise UnusableModel(f"model version {version}: {name} is not the file that was published")
        if card.features != features.NAMES:
            raise UnusableModel(f"model version {version} was made for other features than this program computes")
        return cls(_LOADERS[card.kind].load(folder / card.file), climate, card, version)

    def matrix(self, observations: Observations, around: Surroundings, rained: Floats | None = None) -> Matrix:
        """X (n, d) of the rows."""
        return features.features(observations, around, self.climate, rained)

    def predict(
        self, observations: Observations, around: Surroundings, rained: Floats | None = None
    ) -> tuple[Floats, Matrix]:
        """The chance of rain in each row's period, (n,), and the X (n, d) it was computed from."""
        matrix = self.matrix(observations, around, rained)
        return self.probability(matrix), matrix

    def probability(self, matrix: Matrix) -> Floats:
        """The chance of rain, (n,), of rows of X."""
        return sigmoid(self.estimator.margin(matrix))


def sigmoid(margin: Floats) -> Floats:
    """Log-odds -> probability."""
    probability: Floats = 1 / (1 + np.exp(-margin))
    return probability


def seal(folder: Path, climate: Climate, card: Card) -> Card:
    """Write `climate` and `card` beside the model file that `folder` holds; the card as written, with the digests."""
    climate.save(folder / CLIMATE)
    sealed = card.model_copy(update={"digests": {name: _digest(folder / name) for name in (card.file, CLIMATE)}})
    (folder / CARD).write_text(sealed.model_dump_json(indent=1), encoding="utf-8")
    return sealed


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unpickle(path: Path) -> Any:
    """Only called on a file whose SHA-256 is that of its card, from our own registry."""
    return pickle.loads(path.read_bytes())  # noqa: S301


_LOADERS: dict[str, type[XGBoost] | type[Logistic] | type[RandomForest]] = {
    "xgboost": XGBoost, "logistic": Logistic, "random_forest": RandomForest,
}  # fmt: skip
