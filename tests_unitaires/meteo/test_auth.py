import time

import pytest

from meteo.auth import Caller, ServiceTokens
from meteo.errors import NotAuthenticated

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
