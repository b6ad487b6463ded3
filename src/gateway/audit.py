"""Who did what, when, from where: append-only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy import Engine, RowMapping, insert, select

from gateway.tables import AUDIT
from meteo.errors import MeteoError
from meteo.http.requests import request_id
from meteo.runtime.database import writing
from meteo.runtime.logs import logger


@dataclass
class Event:
    """What is going on: how it ends, and what else is worth knowing."""

    detail: dict[str, Any]
    outcome: str = "success"

    def answered(self, answer: Response) -> None:
        """It ends as a service behind has answered."""
        self.outcome = "success" if answer.status_code < 300 else f"answered {answer.status_code}"


class Audit:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def recording(self, request: Request, actor: str, action: str, **detail: Any) -> AsyncIterator[Event]:
        """Record how the work within ends: well, as it says itself, or by an error, whose title is the outcome."""
        event = Event(detail)
        try:
            yield event
        except BaseException as error:
            event.outcome = error.title if isinstance(error, MeteoError) else "failure"
            raise
        finally:
            await self.record(request, actor, action, event.outcome, **event.detail)

    async def record(self, request: Request, actor: str, action: str, outcome: str = "success", **detail: Any) -> None:
        """Record one event of `request`; `detail` never holds a secret."""
        await asyncio.to_thread(self._write, request, actor, action, outcome, detail)

    def _write(self, request: Request, actor: str, action: str, outcome: str, detail: dict[str, Any]) -> None:
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
