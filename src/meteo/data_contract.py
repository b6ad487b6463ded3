"""What a file of daily observations is held to, as data: what is refused, and what is stored and flagged.

Ingestion checks by these rules; `GET /admin/data-contract` and docs/data-contract.md say them to whoever sends files.
"""

from dataclasses import dataclass

VERSION = "1.0"
"""The second number changes with a limit, the first with a field."""

MISSING = ("", "NA")
"""What a cell without a reading holds."""
PERSISTENT_DAYS = 6
"""So many days in a row with the very same reading are suspect in the fields of VARYING."""
VARYING = ("min_temp", "max_temp", "temp_9am", "temp_3pm", "pressure_9am", "pressure_3pm", "humidity_3pm")
SATURATED = {"humidity_9am": 100.0, "humidity_3pm": 100.0}
"""Readings that may stay for days."""


@dataclass(frozen=True)
class AtMost:
    """A reading of `field` above one of `limit` on the same day by more than `tolerance` is suspect."""

    field: str
    limit: str
    tolerance: float


CONSISTENT = (
    AtMost("min_temp", "max_temp", 0.0),
    AtMost("temp_9am", "max_temp", 1.0),
    AtMost("wind_speed_9am", "wind_gust_speed", 0.0),
    AtMost("wind_speed_3pm", "wind_gust_speed", 0.0),
)
"""Suspect, not refused: the two cover different hours, and a cold front can put one above the other."""
