"""Published models: what they are, which serves, and how they do."""

import datetime as dt
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from meteo.schemas.base import Body


class Promotion(Body):
    """Why a version is made the champion; refused when `expected` is not the champion any more."""

    reason: str = Field("", max_length=500)
    expected: str | None = Field(None, pattern=r"^[0-9]{1,9}$", description="The version that the asker saw serving")


class Champion(BaseModel):
    """Which version serves after a promotion or a rollback, and which did before."""

    version: str
    previous: str | None


class ModelCard(BaseModel):
    """What a version is, was trained on and how it did: a bundle's card, under its name and version."""

    model_config = ConfigDict(extra="allow")

    name: str
    version: str


class ModelVersion(BaseModel):
    """A published version and how it did on its holdout."""

    version: str
    aliases: list[str]
    kind: str
    created_at: dt.datetime
    data_version: str
    git_commit: str
    simulated: bool
    metrics: dict[str, float]
    gate: str | None = Field(None, description="promoted or refused; null where it was not judged")
    gate_reasons: str | None = Field(None, description="Why it was refused, with the numbers")


class ReliabilityBin(BaseModel):
    """Forecasts of about the same chance, and how often it rained after them."""

    n: int
    forecast: float
    observed: float


class LiveQuality(BaseModel):
    """How one version's served forecasts of a period did; null where there is not enough data to say."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str
    station: str | None = Field(description="null: all stations")
    predictions: int = Field(description="Made before it was known what fell; hindsight is no forecast")
    outcomes: int = Field(description="predictions of which it is known what fell")
    verdict: Literal["measured", "not enough data"]
    base_rate: float | None
    brier: float | None
    brier_low: float | None = Field(description="With brier_high: 90 % interval, whole days resampled")
    brier_high: float | None
    skill: float | None = Field(
        description="1 - Brier / that of the station-month climatology the version learnt with, as in its card; "
        "null also where the registry does not give that climatology"
    )
    expected_brier: float | None = Field(description="What its own chances promise: mean p (1 - p)")
    log_loss: float | None
    roc_auc: float | None
    reliability: list[ReliabilityBin]
