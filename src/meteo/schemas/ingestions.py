"""What is ingested, what came of it, and the rows that were refused."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    Field,
    ValidationInfo,
    field_validator,
)

from meteo.schemas.base import STATION_NAMES, Body, Day, wrong_order


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


class IngestionRequest(Body):
    """What to ingest; by default the configured source's current and previous month, at all stations."""

    start: Day | None = None
    end: Day | None = None
    stations: list[Annotated[str, Field(json_schema_extra={"enum": STATION_NAMES})]] | None = Field(None, max_length=49)
    source: Literal["bom", "file", "demo", "upload"] | None = None

    @field_validator("end")
    @classmethod
    def _ordered(cls, value: dt.date | None, info: ValidationInfo) -> dt.date | None:
        if wrong := wrong_order(info.data.get("start"), value):
            raise ValueError(wrong)
        return value
