"""Stations and what was observed there."""

import datetime as dt
from typing import Literal

from pydantic import (
    BaseModel,
    Field,
)


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
    kind: Literal["range", "step", "persistence", "consistency"]
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


class FieldQuality(BaseModel):
    missing: int = Field(description="Stored days that lack the field")
    flagged: int = Field(description="Days on which its value is suspect")
    latest: dt.date | None = Field(description="Newest day that has it")


class DataQuality(BaseModel):
    """What a station's stored days lack, field by field."""

    station: str
    days: int
    fields: dict[str, FieldQuality]
