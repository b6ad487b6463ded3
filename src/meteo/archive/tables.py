"""The tables of the observation store, the same on SQLite and PostgreSQL."""

from sqlalchemy import (
    JSON,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from meteo.observation import FIELDS
from meteo.runtime.database import UtcDateTime
from meteo.runtime.migrations import ADD, CHANGE, OTHERS, READ, Schema

METADATA = MetaData()

OBSERVATIONS = Table(
    "observations",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("day", Date, primary_key=True),
    *(Column(field.name, String(3) if field.compass else Float) for field in FIELDS),
    Column("source", String(8), nullable=False),
    Column("product", String(16), nullable=False, doc="BOM product the row came from, or weatherAUS"),
    Column("site", String(6), nullable=False, doc="BOM site the row was observed at"),
    Column("run_id", Integer, nullable=False, doc="the ingestion that last changed the row"),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("observations_day", "day"),
)
REVISIONS = Table(
    "revisions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("station", String(32), nullable=False),
    Column("day", Date, nullable=False),
    Column("field", String(20), nullable=False),
    Column("old", String(12)),
    Column("new", String(12), doc="null only where a replay under a better parser takes a value back"),
    Column("run_id", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("revisions_key", "station", "day"),
)
FLAGS = Table(
    "flags",
    METADATA,
    Column("station", String(32), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("field", String(20), primary_key=True),
    Column("kind", String(12), primary_key=True, doc="range, step, persistence or consistency"),
    Column("detail", String(200), nullable=False),
)
INGESTIONS = Table(
    "ingestions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("source", String(8), nullable=False),
    Column("request", JSON, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("state", String(8), nullable=False, doc="running, success or failed"),
    *(Column(name, Integer, nullable=False, default=0)
      for name in ("files", "bytes", "new", "changed", "unchanged", "quarantined")),
    Column("seconds", Float, nullable=False, server_default="0", doc="at work, pauses between attempts left out"),
    Column("resumes", Integer, nullable=False, server_default="0", doc="how often it went on after a failure"),
    Column("problems", JSON, nullable=False),
)  # fmt: skip
FILES = Table(
    "files",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("ingestions.id"), nullable=False),
    Column("source", String(8), nullable=False),
    Column("name", String(200), nullable=False),
    Column("product", String(16), nullable=False, doc="what it was asked for as; empty for a file at hand"),
    Column("digest", String(64), doc="SHA-256 of the bytes in the landing; null when there are none"),
    Column("bytes", Integer, nullable=False),
    Column("state", String(8), nullable=False, doc="stored, same, refused, missing or covered"),
    Column("reader", Integer, nullable=False, doc="version of the parser and checks that read it"),
    Column("selection", String(800), nullable=False, doc="the days and stations that were wanted of it, as JSON"),
    *(Column(name, Integer, nullable=False) for name in ("new", "changed", "unchanged", "quarantined")),
    Column("etag", String(200)),
    Column("last_modified", String(64)),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("run_id", "name", name="files_key"),
    Index("files_name", "source", "name"),
)
"""What became of every file of every run: by it a run resumes, and an unchanged file is not read again."""

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True, doc="of station, day, reason and row: the same row read "
           "again tomorrow is this one"),
    Column("run_id", Integer, nullable=False, doc="the ingestion that met it first"),
    Column("source", String(8), nullable=False),
    Column("product", String(16), nullable=False),
    Column("site", String(6), nullable=False),
    Column("file", String(200), nullable=False),
    Column("station", String(32), nullable=False),
    Column("day", Date),
    Column("reason", String(400), nullable=False),
    Column("fields", JSON, nullable=False, doc="the fields at fault; date or station when the row cannot be placed"),
    Column("row", JSON, nullable=False),
    Column("state", String(10), nullable=False, doc="waiting, released or discarded"),
    Column("decided_by", String(64)),
    Column("decided_at", UtcDateTime),
    Index("quarantine_state", "state"),
)  # fmt: skip
SIGHTINGS = Table(
    "sightings",
    METADATA,
    Column("run_id", Integer, primary_key=True),
    Column("quarantine_id", ForeignKey("quarantine.id"), primary_key=True),
)
"""Which runs met which refused rows."""

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False),
    Column("content", LargeBinary, nullable=False, doc="empty once it has been read"),
    Column("uploaded_by", String(64), nullable=False),
    Column("uploaded_at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime, doc="by an ingestion"),
)

_RIGHTS = {"api_model": {UPLOADS.name: ADD, OTHERS: READ}, "jobs": {OTHERS: CHANGE}}
SCHEMA = Schema("observations", METADATA, "meteo", _RIGHTS)
