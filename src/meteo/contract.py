"""HTTP bodies shared by gateway, model API and console; every limit and unit comes from `meteo.observation`."""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
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
from meteo.station import stations

_STATIONS: list[Any] = list(stations())
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
RowId = Annotated[int, Field(ge=1, le=2**31 - 1)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,90}\.csv$")]


def _written_out(value: Any) -> Any:
    if not isinstance(value, dt.date) and not (isinstance(value, str) and _ISO_DATE.fullmatch(value)):
        raise ValueError("a date is written YYYY-MM-DD")
    return value


Day = Annotated[
    dt.date, BeforeValidator(_written_out), Field(strict=False, ge=dt.date(1900, 1, 1), le=dt.date(2199, 12, 31))
]
"""A day as requests name it; by itself pydantic would take "0" for 1970-01-01, and the days around the first and the
last of the calendar have no neighbours to count from."""


class Body(BaseModel):
    """Requests are strict: no unknown field, no text for a number, no NaN or infinity."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


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

    station: str = Field(max_length=64, json_schema_extra={"enum": _STATIONS})
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


class Promotion(Body):
    """Why a version is made the champion; refused when `expected` is not the champion any more."""

    reason: str = Field("", max_length=500)
    expected: str | None = Field(None, pattern=r"^[0-9]{1,9}$", description="The version that the asker saw serving")


class Champion(BaseModel):
    """Which version serves after a promotion or a rollback, and which did before."""

    version: str
    previous: str | None


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
    skill: float | None = Field(description="1 - Brier / that of always saying how often the station-month is wet")
    expected_brier: float | None = Field(description="What its own chances promise: mean p (1 - p)")
    log_loss: float | None
    roc_auc: float | None
    reliability: list[ReliabilityBin]


class StationBody(BaseModel):
    name: str
    state: str
    latitude: float
    longitude: float
    elevation_m: float
    timezone: str
    latest: dt.date | None = Field(description="Newest day with observations")


class FlagBody(BaseModel):
    """A stored value that is possible and yet suspect."""

    field: str
    kind: Literal["range", "jump", "stuck", "order"]
    detail: str


class DayBody(BaseModel):
    """One stored day; fields that were not observed are null."""

    date: dt.date
    observation: dict[str, float | str | None]
    source: str
    product: str = Field(description="BOM product it came from, or weatherAUS")
    site: str = Field(description="BOM site it was observed at")
    changed_at: dt.datetime
    flags: list[FlagBody]


class UploadBody(BaseModel):
    """A file that was handed in and waits for the next ingestion of source upload."""

    id: int
    name: str


class IngestionBody(BaseModel):
    """What one ingestion brought."""

    id: int
    source: str
    request: dict[str, Any]
    started_at: dt.datetime
    finished_at: dt.datetime | None
    state: Literal["running", "success", "failed"]
    files: int
    bytes: int
    new: int
    changed: int
    unchanged: int
    quarantined: int
    seconds: float
    resumes: int
    problems: list[str]


QuarantineState = Literal["waiting", "released", "discarded"]


class QuarantinedBody(BaseModel):
    """A refused row, as it was read."""

    id: int
    run_id: int
    source: str
    product: str
    site: str
    file: str
    station: str
    day: dt.date | None
    reason: str
    fields: list[str] = Field(description="The fields at fault")
    row: dict[str, float | str | None]
    state: QuarantineState
    decided_by: str | None
    decided_at: dt.datetime | None


class FieldQuality(BaseModel):
    missing: int = Field(description="Stored days that lack the field")
    flagged: int = Field(description="Days on which its value is suspect")
    latest: dt.date | None = Field(description="Newest day that has it")


class DataQuality(BaseModel):
    """What a station's stored days lack, field by field."""

    station: str
    days: int
    fields: dict[str, FieldQuality]


class IngestionRequest(Body):
    """What to ingest; by default the configured source's current and previous month, at all stations."""

    start: Day | None = None
    end: Day | None = None
    stations: list[Annotated[str, Field(json_schema_extra={"enum": _STATIONS})]] | None = Field(None, max_length=49)
    source: Literal["bom", "file", "demo", "upload"] | None = None

    @field_validator("end")
    @classmethod
    def _ordered(cls, value: dt.date | None, info: ValidationInfo) -> dt.date | None:
        start = info.data.get("start")
        if value is not None and start is not None and value < start:
            raise ValueError(f"must not be before start, {start}")
        return value


class TrainingRequest(Body):
    """What to train; by default the configured kind and parameters."""

    model: Literal["xgboost", "logistic", "random_forest"] | None = None
    params: dict[str, float | int | str] | None = Field(None, max_length=20)
    search: int | None = Field(
        None, ge=1, le=100, description="Try so many sets of parameters on the validation period and take the best"
    )


class Problem(BaseModel):
    """RFC 9457 problem details; `errors` names the offending fields of a 422."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[dict[str, str]] | None = None


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


def field_errors(errors: list[Any]) -> list[tuple[str, str]]:
    """Pydantic's errors as (field, message) pairs, without the input, which may be secret or unprintable."""
    return [
        (".".join(str(part) for part in error["loc"]) or "body", error["msg"].removeprefix("Value error, "))
        for error in errors
    ]


def missing_fields(values: Floats) -> list[str]:
    """Names of the fields that a row of values (d,) leaves out."""
    return [name for name, value in zip(NAMES, values.tolist(), strict=True) if value != value]


def check_day(day: dt.date, today: dt.date) -> None:
    """A forecast is made from a day that has come, at the station; InvalidInput names the field otherwise."""
    if day > today:
        message = f"{day} has not come yet at the station, where it is {today}"
        raise InvalidInput(f"date: {message}", [("date", message)])
