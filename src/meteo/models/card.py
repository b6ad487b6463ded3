"""What a published model is, was trained on and how it did, as it is written beside it."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict

from meteo.errors import MeteoError

CARD, CLIMATE, GRAPH, GOLDEN = "card.json", "climate.json", "model.onnx", "golden.json"


class UnusableModel(MeteoError):
    """A bundle that must not serve: truncated, altered, or made for other features."""

    status = 503
    title = "Unusable model"


class Holdout(BaseModel):
    """How a version did on the days it never saw, beyond the scores of all of them.

    `intervals`: 90 % of roc_auc and brier, whole days resampled; `reliability`: n, mean forecast and observed frequency
    in ten bins; `stations`: n, scores and brier_skill, which is 1 - Brier / that of the station-month's rate;
    `importance`: mean absolute effect of each feature on the log-odds, empty for a kind that explains nothing.
    """

    intervals: dict[str, tuple[float, float]]
    reliability: list[dict[str, float]]
    stations: dict[str, dict[str, float]]
    importance: dict[str, float]


class Card(BaseModel):
    """What a version is: enough to know where it came from and how good it was on days it never saw."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    kind: str
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
    holdout: Holdout | None = None
