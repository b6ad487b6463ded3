"""The range of days that routes take."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from meteo.errors import InvalidInput
from meteo.schemas.base import Day, wrong_order


@dataclass(frozen=True)
class DateRange:
    """From `start` to `end`, both included; None where it is open."""

    start: Day | None
    end: Day | None

    @property
    def params(self) -> dict[str, str]:
        """As a query of another service."""
        return {name: day.isoformat() for name, day in (("start", self.start), ("end", self.end)) if day is not None}


def _date_range(start: Day | None = None, end: Day | None = None) -> DateRange:
    if wrong := wrong_order(start, end):
        raise InvalidInput(f"end: {wrong}", [("end", wrong)])
    return DateRange(start, end)


Days = Annotated[DateRange, Depends(_date_range)]
"""A route's `start` and `end`; 422 where they are the wrong way round."""
