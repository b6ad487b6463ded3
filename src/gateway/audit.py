"""Who did what, when, from where: append-only."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from sqlalchemy import Engine, RowMapping, insert, select

from gateway.tables import AUDIT
from meteo.http.requests import request_id
from meteo.runtime.database import writing
from meteo.runtime.logs import logger


class Audit:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, request: Request, actor: str, action: str, outcome: str, **detail: Any) -> None:
        """Record one event of `request`; `detail` never holds a secret."""
        entry = {
            "actor": actor[:64],
            "action": action,
            "outcome": outcome,
            "address": request.client.host[:64] if request.client else "",
            "request_id": request_id(request),
            "detail": detail,
        }
        with writing(self._engine) as connection:
            connection.execute(insert(AUDIT).values(at=datetime.now(UTC), **entry))
        logger().info("audit", **entry)

    def latest(self, limit: int, actor: str | None = None, action: str | None = None) -> list[RowMapping]:
        """Events, newest first; of one person or kind where they are given."""
        query = select(AUDIT).order_by(AUDIT.c.id.desc()).limit(limit)
        if actor is not None:
            query = query.where(AUDIT.c.actor == actor)
        if action is not None:
            query = query.where(AUDIT.c.action == action)
        with self._engine.connect() as connection:
            return list(connection.execute(query).mappings())
