"""The gateway's own tables: users, sessions, API keys and the audit trail."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, false

from meteo.runtime.database import UtcDateTime
from meteo.runtime.migrations import ADD, CHANGE, OTHERS, Schema

METADATA = MetaData()

USERS = Table(
    "users",
    METADATA,
    Column("username", String(32), primary_key=True),
    Column("password_hash", String(200), nullable=False),
    Column("role", String(8), nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("must_change", Boolean, nullable=False, server_default=false(), doc="the password was given by an admin"),
)
API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("prefix", String(12), primary_key=True),
    Column("username", ForeignKey("users.username", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("label", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("username", ForeignKey("users.username", ondelete="CASCADE"), nullable=False, index=True),
    Column("refresh_digest", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", Integer, nullable=False, doc="Unix seconds"),
    Column("revoked", Boolean, nullable=False, default=False),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(40), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("address", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("detail", JSON, nullable=False),
    Index("audit_actor", "actor", "at"),
)

_RIGHTS = {
    "gateway": {AUDIT.name: ADD, OTHERS: CHANGE},
    "retention": {AUDIT.name: "SELECT, DELETE", SESSIONS.name: "SELECT, DELETE"},
}
SCHEMA = Schema("gateway", METADATA, "gateway", _RIGHTS)
