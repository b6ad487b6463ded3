import time
from pathlib import Path
from typing import Any

import pytest

from meteo.database import connect
from meteo.errors import NotAuthenticated
from streamlit_app.client import Gateway
from streamlit_app.session import ConsoleSessions, Identity, try_close


def enter(sessions: ConsoleSessions, gateway: Gateway) -> str:
    return sessions.open(gateway.log_in("ann", "right password"))


def test_a_session_says_who_is_behind_the_cookie(sessions: ConsoleSessions, gateway: Gateway) -> None:
    session = enter(sessions, gateway)
    assert sessions.known(session)
    assert sessions.identify(session) == Identity("ann", "user", "access-1")


@pytest.mark.parametrize("cookie", [None, "", "guess", "\ud800"])
def test_another_cookie_is_nobody(sessions: ConsoleSessions, gateway: Gateway, cookie: str | None) -> None:
    enter(sessions, gateway)
    assert not sessions.known(cookie)
    with pytest.raises(NotAuthenticated):
        sessions.identify(cookie)


def test_sessions_survive_a_restart_of_the_console(sessions: ConsoleSessions, gateway: Gateway, tmp_path: Path) -> None:
    session = enter(sessions, gateway)
    restarted = ConsoleSessions(connect(f"sqlite:///{tmp_path / 'console.db'}"), gateway, 60)
    assert restarted.identify(session).username == "ann"


def test_the_cookies_value_is_not_in_the_database(sessions: ConsoleSessions, gateway: Gateway, tmp_path: Path) -> None:
    session = enter(sessions, gateway)
    assert all(session.encode() not in path.read_bytes() for path in tmp_path.glob("console.db*"))


def test_an_access_token_about_to_run_out_is_renewed(sessions: ConsoleSessions, gateway: Gateway, fake: Any) -> None:
    fake.life = 10
    session = enter(sessions, gateway)
    fake.life = 900
    assert sessions.identify(session).access == "access-2"
    assert sessions.identify(session).access == "access-2"


def test_a_session_revoked_at_the_gateway_ends_here_too(sessions: ConsoleSessions, gateway: Gateway, fake: Any) -> None:
    session = enter(sessions, gateway)
    fake.live.clear()
    with pytest.raises(NotAuthenticated):
        sessions.identify(session)
    assert not sessions.known(session)


def test_closing_revokes_at_the_gateway(sessions: ConsoleSessions, gateway: Gateway, fake: Any) -> None:
    session = enter(sessions, gateway)
    assert try_close(sessions, session) is None
    assert fake.live == set()
    assert not sessions.known(session)
    assert try_close(sessions, session) is None


def test_closing_while_the_gateway_is_away_still_ends_the_session_here(
    sessions: ConsoleSessions, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = enter(sessions, gateway)
    away = Gateway("http://127.0.0.1:9")
    monkeypatch.setattr(sessions, "_gateway", away)
    assert "does not answer" in (try_close(sessions, session) or "")
    assert not sessions.known(session)
    away._client.close()


def test_an_idle_session_is_over(sessions: ConsoleSessions, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    session = enter(sessions, gateway)
    now = time.time()
    monkeypatch.setattr("streamlit_app.session.time.time", lambda: now + 3601)
    assert not sessions.known(session)
    with pytest.raises(NotAuthenticated):
        sessions.identify(session)
