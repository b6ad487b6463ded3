import time

import pytest

from meteo.errors import NotAuthenticated
from meteo.runtime.service_tokens import Caller, ServiceTokens

CALLER = Caller("ann", "user", "gateway")


def test_a_token_carries_on_whose_behalf_a_call_is_made() -> None:
    tokens = ServiceTokens("s" * 32)
    assert tokens.caller(f"Bearer {tokens.issue(CALLER)}") == CALLER


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic {token}", "{token}"])
def test_anything_else_is_refused(header: str | None) -> None:
    tokens = ServiceTokens("s" * 32)
    with pytest.raises(NotAuthenticated, match="a valid service token is required"):
        tokens.caller(header and header.format(token=tokens.issue(CALLER)))


def test_another_secrets_token_is_refused() -> None:
    with pytest.raises(NotAuthenticated):
        ServiceTokens("s" * 32).caller(f"Bearer {ServiceTokens('t' * 32).issue(CALLER)}")


def test_an_old_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ServiceTokens("s" * 32)
    token = tokens.issue(CALLER)
    now = time.time()
    tokens.caller(f"Bearer {token}")
    monkeypatch.setattr(time, "time", lambda: now + 200)
    for service in (tokens, ServiceTokens("s" * 32)):
        with pytest.raises(NotAuthenticated):
            service.caller(f"Bearer {token}")
    assert tokens.caller(f"Bearer {tokens.issue(CALLER)}") == CALLER


@pytest.mark.parametrize(
    ("ahead", "accepted"), [(-29, True), (-31, False), (-1, True), (0, True), (149, True), (151, False)]
)
def test_clocks_may_differ_by_half_a_minute(monkeypatch: pytest.MonkeyPatch, ahead: float, accepted: bool) -> None:
    """`ahead`: by how many seconds the clock of who is asked is ahead of when the token was issued by who asks."""
    now = int(time.time())
    monkeypatch.setattr(time, "time", lambda: now)
    token = ServiceTokens("s" * 32).issue(CALLER)
    monkeypatch.setattr(time, "time", lambda: now + ahead)
    asked = ServiceTokens("s" * 32)
    if accepted:
        assert [asked.caller(f"Bearer {token}") for _ in range(2)] == [CALLER] * 2
    else:
        with pytest.raises(NotAuthenticated):
            asked.caller(f"Bearer {token}")
