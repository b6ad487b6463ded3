"""The tables of the predictions, the same on SQLite and PostgreSQL."""

from sqlalchemy import JSON, Boolean, Column, Date, Float, Index, Integer, MetaData, String, Table

from meteo.runtime.database import UtcDateTime
from meteo.runtime.migrations import ADD, CHANGE, OTHERS, READ, Schema

METADATA = MetaData()
PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("prediction_id", String(32), primary_key=True),
    Column("made_at", UtcDateTime, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("station", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("observation", JSON, nullable=False),
    Column("probability", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("rain_tomorrow", Boolean, nullable=False),
    Column("model_version", String(16), nullable=False),
    Index("predictions_subject", "subject", "made_at"),
    Index("predictions_day", "day"),
    Index("predictions_made_at", "made_at"),
)
DAILY_FORECASTS = Table(
    "daily_forecasts",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("station", String(32), primary_key=True),
    Column("model_version", String(16), primary_key=True),
    Column("bin", Integer, primary_key=True),
    Column("n", Integer, nullable=False),
    Column("probability", Float, nullable=False, doc="the sum"),
    Column("squared", Float, nullable=False, doc="the sum of the squares"),
)
"""What is kept of forecasts that are removed from the log."""

_RIGHTS = {"api_model": {PREDICTIONS.name: ADD, OTHERS: READ}, "jobs": {OTHERS: CHANGE}}
SCHEMA = Schema("predictions", METADATA, "meteo", _RIGHTS)
