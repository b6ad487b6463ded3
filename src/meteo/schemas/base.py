"""What every body of a request has to keep to, and the types that several share."""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)

from meteo.station import stations

STATION_NAMES: list[Any] = list(stations())
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
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


def without_controls(value: Any) -> Any:
    """ValueError where a text, or one in a list or a dictionary, holds a control character or a lone surrogate:
    PostgreSQL takes no NUL, UTF-8 no lone surrogate, and the others only mislead whoever reads them."""
    match value:
        case str():
            if _CONTROLS.search(value):
                raise ValueError("holds a control character or a lone surrogate")
        case dict():
            without_controls([*value, *value.values()])
        case list() | tuple():
            for part in value:
                without_controls(part)
    return value


Text = Annotated[str, AfterValidator(without_controls)]
"""Text as requests bring it in other places than a `Body`."""


class Body(BaseModel):
    """Requests are strict: no unknown field, no text for a number, no NaN or infinity, no control characters."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    @field_validator("*")
    @classmethod
    def _without_controls(cls, value: Any) -> Any:
        return without_controls(value)


def wrong_order(start: dt.date | None, end: dt.date | None) -> str | None:
    """What is wrong with the `end` of a range, both days included; None where nothing is."""
    return f"must not be before start, {start}" if start is not None and end is not None and end < start else None
