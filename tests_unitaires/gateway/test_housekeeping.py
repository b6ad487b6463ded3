import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from gateway.housekeeping import main
from gateway.tables import AUDIT, SCHEMA, SESSIONS, USERS
from meteo.runtime.database import connect


@pytest.mark.usefixtures("logging_as_before")
def test_sessions_that_are_over_and_old_audit_entries_go(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    engine = connect(database)
    SCHEMA.upgrade(engine)
    user = {"username": "ann", "password_hash": "x", "role": "user", "enabled": True, "created_at": now}
    session = {"username": "ann", "refresh_digest": "x", "created_at": now, "expires_at": int(time.time()) + 900,
               "revoked": False}  # fmt: skip
    event = {"actor": "ann", "action": "login", "outcome": "ok", "address": "", "request_id": "", "detail": {}}
    with engine.begin() as connection:
        connection.execute(insert(USERS), [user])
        connection.execute(insert(SESSIONS), [
            {**session, "id": "open"}, {**session, "id": "revoked", "revoked": True},
            {**session, "id": "expired", "expires_at": int(time.time()) - 1},
        ])  # fmt: skip
        connection.execute(insert(AUDIT), [{**event, "at": now - timedelta(days=days)} for days in (0, 99, 101)])
    monkeypatch.setenv("METEO_HOME", str(tmp_path))
    monkeypatch.setenv("METEO_STORE__GATEWAY_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("METEO_RETENTION__AUDIT_DAYS", "100")
    main()
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["removed"] == {"sessions": 2, "audit": 1}
    with engine.connect() as connection:
        assert connection.scalars(select(SESSIONS.c.id)).all() == ["open"]
        assert len(connection.execute(select(AUDIT)).all()) == 2
    engine.dispose()
