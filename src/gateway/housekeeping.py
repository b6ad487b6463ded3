"""`python -m gateway.housekeeping`: sessions that are over and audit entries that are too old go.

It needs none of what serves HTTP, so that a job's environment can run it. Its database role is `retention`, which may
remove from these two tables and no more, for the gateway's own may only add to the audit.
"""

import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete

from gateway.tables import AUDIT, SCHEMA, SESSIONS
from meteo.runtime import housekeeping
from meteo.runtime.database import connected, writing
from meteo.runtime.settings import Settings


def clean(engine: Engine, audit_days: int) -> dict[str, int]:
    """Remove them; how many of each."""
    over = SESSIONS.c.revoked | (SESSIONS.c.expires_at <= int(time.time()))
    old = AUDIT.c.at < datetime.now(UTC) - timedelta(days=audit_days)
    with writing(engine) as connection:
        return {
            "sessions": connection.execute(delete(SESSIONS).where(over)).rowcount,
            "audit": connection.execute(delete(AUDIT).where(old)).rowcount,
        }


def main() -> None:
    settings = Settings()

    def work() -> dict[str, int]:
        with connected(settings.gateway_url) as engine:
            SCHEMA.upgrade(engine)
            return clean(engine, settings.retention.audit_days)

    housekeeping.run("gateway", settings, work)


if __name__ == "__main__":
    main()
