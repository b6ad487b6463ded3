import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from meteo.errors import NotAuthenticated
from meteo.runtime.database import connect, writing
from streamlit_app.client import Gateway
from streamlit_app.session import SESSIONS, ConsoleSessions, Identity, try_close


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


def test_the_database_alone_lets_nobody_in(sessions: ConsoleSessions, gateway: Gateway, tmp_path: Path) -> None:
    session = enter(sessions, gateway)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("console.db*"))
    assert not [secret for secret in (session, "access-1", "refresh-1") if secret.encode() in kept]


def test_tokens_that_were_put_into_another_session_open_nothing(sessions: ConsoleSessions, gateway: Gateway) -> None:
    mine, theirs = enter(sessions, gateway), enter(sessions, gateway)
    with writing(sessions._engine) as connection:
        sealed = connection.scalars(select(SESSIONS.c.sealed)).all()
        connection.execute(update(SESSIONS).values(sealed=sealed[0]))
    opened = []
    for session in (mine, theirs):
        try:
            opened.append(sessions.identify(session).access)
        except NotAuthenticated:
            assert not sessions.known(session)
    assert len(opened) == 1


def test_tokens_that_an_earlier_version_kept_readable_are_erased(gateway: Gateway, tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'console.db'}")
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE console_sessions (digest TEXT, access TEXT, refresh TEXT)"))
        for number in range(100):
            connection.execute(text("INSERT INTO console_sessions VALUES (:n, 'readable', 'readable')"), {"n": number})
    ConsoleSessions(engine, gateway, 60)
    assert all(b"readable" not in path.read_bytes() for path in tmp_path.glob("console.db*"))


def test_an_access_token_about_to_run_out_is_renewed(sessions: ConsoleSessions, gateway: Gateway, fake: Any) -> None:
    fake.life = 10
    session = enter(sessions, gateway)
    fake.life = 900
    assert sessions.identify(session).access == "access-2"
    assert sessions.identify(session).access == "access-2"


def test_a_refresh_that_hangs_keeps_nobody_else_waiting(
    sessions: ConsoleSessions, gateway: Gateway, fake: Any, eventually: Callable[..., None]
) -> None:
    fake.life = 10
    hanging, others = enter(sessions, gateway), [enter(sessions, gateway) for _ in range(5)]
    fake.life = 900
    fake.frozen["refresh-1"] = threading.Event()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(sessions.identify, hanging)
        eventually(lambda: "POST /token/refresh" in fake.asked)
        began = time.monotonic()
        assert [sessions.identify(other).username for other in others] == ["ann"] * 5
        assert time.monotonic() - began < 5
        fake.frozen["refresh-1"].set()
        assert waiting.result().username == "ann"
    assert not sessions._turns, "no session's turn outlives its use"


def test_the_tabs_of_one_session_refresh_once(sessions: ConsoleSessions, gateway: Gateway, fake: Any) -> None:
    fake.life = 10
    session = enter(sessions, gateway)
    fake.life = 900
    with ThreadPoolExecutor(8) as tabs:
        assert {who.access for who in tabs.map(sessions.identify, [session] * 8)} == {"access-2"}
    assert fake.asked.count("POST /token/refresh") == 1


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


def test_an_idle_session_is_over(sessions: ConsoleSessions, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    session = enter(sessions, gateway)
    now = time.time()
    monkeypatch.setattr("streamlit_app.session.time.time", lambda: now + 3601)
    assert not sessions.known(session)
    with pytest.raises(NotAuthenticated):
        sessions.identify(session)
