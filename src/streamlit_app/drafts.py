"""What somebody had typed when their session ended, kept until they log in again; for a day at most."""

import json
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import Column, Engine, Float, MetaData, String, Table, Text, delete, insert, select

from meteo.runtime.database import writing

TYPED = "typed "
"""What the keys of widgets begin with whose values are worth keeping; a password's is not."""

METADATA = MetaData()
DRAFTS = Table(
    "console_drafts",
    METADATA,
    Column("username", String(100), primary_key=True),
    Column("typed", Text, nullable=False),
    Column("kept_at", Float, nullable=False),
)
_SECONDS = 86_400


class Drafts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        METADATA.create_all(engine)

    def keep(self, username: str, values: Mapping[Any, Any]) -> None:
        """Of all values those with a key of TYPED, in the place of what was kept before."""
        typed = {key: value for key, value in values.items() if str(key).startswith(TYPED)}
        now = time.time()
        with writing(self._engine) as connection:
            old = (DRAFTS.c.username == username) | (DRAFTS.c.kept_at < now - _SECONDS)
            connection.execute(delete(DRAFTS).where(old))
            if typed:
                text = json.dumps(typed, default=_as_text)
                connection.execute(insert(DRAFTS).values(username=username, typed=text, kept_at=now))

    def take(self, username: str) -> dict[str, Any]:
        """What was kept, once."""
        with writing(self._engine) as connection:
            mine = (DRAFTS.c.username == username) & (DRAFTS.c.kept_at >= time.time() - _SECONDS)
            found = connection.execute(select(DRAFTS.c.typed).where(mine)).scalar()
            connection.execute(delete(DRAFTS).where(DRAFTS.c.username == username))
        typed: dict[str, Any] = json.loads(found, object_hook=_as_value) if found else {}
        return typed


def _as_text(value: Any) -> Any:
    if isinstance(value, date):
        return {"date": value.isoformat()}
    raise TypeError(f"no form field holds a {type(value).__name__}")


def _as_value(found: dict[str, Any]) -> Any:
    return date.fromisoformat(found["date"]) if set(found) == {"date"} else found
