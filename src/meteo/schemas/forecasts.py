"""What is asked for a forecast, and what is answered; limits and units come from `meteo.observation`."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from meteo.errors import InvalidInput
from meteo.observation import (
    BY_NAME,
    COMPASS,
    FIELDS,
    INDEX,
    NAMES,
    RAIN_THRESHOLD_MM,
    Floats,
    Observations,
    compass_sector,
)
from meteo.observation import Field as Quantity
from meteo.schemas.base import STATION_NAMES, Body, Day


class _ObservationRules(Body):
    @field_validator("max_temp", check_fields=False)
    @classmethod
    def _minimum_below_maximum(cls, value: float | None, info: ValidationInfo) -> float | None:
        minimum = info.data.get("min_temp")
        if value is not None and minimum is not None and minimum > value:
            raise ValueError(f"must not be below min_temp, which is {minimum:g}")
        return value

    @field_validator("rain_today", check_fields=False)
    @classmethod
    def _rain_agrees(cls, value: bool | None, info: ValidationInfo) -> bool | None:
        rainfall = info.data.get("rainfall")
        if value is not None and rainfall is not None and value != (rainfall > RAIN_THRESHOLD_MM):
            raise ValueError(
                f"contradicts rainfall, which is {rainfall:g} mm: rain_today means more than {RAIN_THRESHOLD_MM:g} mm"
            )
        return value

    @model_validator(mode="after")
    def _not_empty(self) -> "_ObservationRules":
        if all(value is None for value in self.__dict__.values()):
            raise ValueError("needs at least one known field")
        return self


def _annotation(quantity: Quantity) -> Any:
    about = f"{quantity.label}{f', {quantity.unit}' if quantity.unit else ''}"
    if quantity.compass:
        return Annotated[Literal[COMPASS] | None, Field(description=about)]
    return Annotated[
        float | None,
        Field(ge=quantity.low, le=quantity.high, description=about, json_schema_extra={"unit": quantity.unit}),
    ]


ObservationBody: Any = create_model(
    "Observation",
    __base__=_ObservationRules,
    __doc__="What was observed at a station on one day; every field may be left out, at least one is needed.",
    **{quantity.name: (_annotation(quantity), None) for quantity in FIELDS},
    rain_today=(Annotated[bool | None, Field(description="More than 1.0 mm in the 24 h to 9am")], None),
)  # type: ignore[call-overload]


_QUESTION: dict[str, Any] = {
    "station": "Sydney", "date": "2017-06-20", "explain": True,
    "observation": {"min_temp": 8.1, "rainfall": 0.2, "humidity_3pm": 71, "pressure_3pm": 1013.4, "wind_dir_3pm": "SE"},
}  # fmt: skip


class PredictRequest(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [_QUESTION]})

    station: str = Field(max_length=64, json_schema_extra={"enum": STATION_NAMES})
    date: Day = Field(description="The day observed, on the station's calendar; the forecast begins at 9am that day")
    observation: ObservationBody
    model: str | None = Field(None, pattern=r"^[0-9]{1,9}$", description="A published version; default the champion")
    explain: bool = False


class Period(BaseModel):
    """What the probability covers, on the station's clock: 9am to 9am."""

    start: dt.datetime
    end: dt.datetime


class ModelName(BaseModel):
    name: str
    version: str


class Contribution(BaseModel):
    """How much one feature moved the log-odds."""

    feature: str
    value: float | None
    effect: float


class Prediction(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    prediction_id: str
    station: str
    date: dt.date
    period: Period
    probability: float = Field(ge=0, le=1, description="Chance of more than 1.0 mm of rain in the period")
    rain_tomorrow: bool = Field(description="Whether the probability reaches the threshold")
    threshold: float
    usual: float | None = Field(None, description="How often it rains there after a day of that month")
    model: ModelName
    missing: list[str] = Field(description="Observation fields that were not given")
    neighbours_used: int
    request_id: str
    simulated: bool = Field(description="Whether the model learnt from simulated (demo) observations")
    contributions: list[Contribution] | None = None
    base: float | None = None
    margin: float | None = None


class PastPrediction(BaseModel):
    """A prediction that was answered, with what then fell: null until the next day's observation is in."""

    model_config = ConfigDict(protected_namespaces=())

    prediction_id: str
    made_at: dt.datetime
    username: str
    station: str
    date: dt.date
    observation: dict[str, float | str | bool]
    probability: float
    rain_tomorrow: bool
    threshold: float
    model_version: str
    rainfall: float | None = Field(description="mm in the period")
    rained: bool | None = Field(description="More than 1.0 mm")


class BatchError(BaseModel):
    """In the place of an answer: why a row of a batch has none."""

    status: int = 422
    detail: str
    errors: list[dict[str, str]]


class StationForecast(BaseModel):
    """One station of the map; no probability where nothing of that day is stored."""

    station: str
    period: Period
    probability: float | None
    rain_tomorrow: bool | None
    missing: list[str]
    neighbours_used: int


class Forecast(BaseModel):
    """All stations at once, from their stored rows of one day."""

    model_config = ConfigDict(protected_namespaces=())

    date: dt.date
    model: ModelName
    threshold: float
    simulated: bool
    stations: list[StationForecast]


def observations_of(requests: Sequence[PredictRequest]) -> tuple[Observations, Floats]:
    """The requests as rows of the schema, and whether it rained today, (n,): as told, else as the amount says."""
    values = np.full((len(requests), len(FIELDS)), np.nan)
    rained = np.full(len(requests), np.nan)
    for row, request in enumerate(requests):
        for name, value in request.observation.__dict__.items():
            if value is None:
                continue
            if name == "rain_today":
                rained[row] = value
            else:
                values[row, INDEX[name]] = compass_sector(value) if BY_NAME[name].compass else value
    station = np.array([request.station for request in requests])
    day = np.array([request.date for request in requests], "datetime64[D]")
    amount = values[:, INDEX["rainfall"]]
    known = ~np.isnan(amount)
    rained[known] = amount[known] > RAIN_THRESHOLD_MM
    return Observations(station, day, values), rained


def missing_fields(values: Floats) -> list[str]:
    """Names of the fields that a row of values (d,) leaves out."""
    return [name for name, value in zip(NAMES, values.tolist(), strict=True) if value != value]


def check_day(day: dt.date, today: dt.date) -> None:
    """A forecast is made from a day that has come, at the station; InvalidInput names the field otherwise."""
    if day > today:
        message = f"{day} has not come yet at the station, where it is {today}"
        raise InvalidInput(f"date: {message}", [("date", message)])
