from collections.abc import Callable
from typing import Any

import pytest

from meteo.errors import NotAuthenticated, TooManyRequests, Unavailable, UpstreamFailed
from streamlit_app.client import Gateway


def test_problems_become_our_errors_with_the_request_id(gateway: Gateway) -> None:
    with pytest.raises(NotAuthenticated, match=r"as it is \(request request-1\)"):
        gateway.log_in("ann", "wrong")
    with pytest.raises(Unavailable) as away:
        gateway._call("GET", "/away")
    assert away.value.retry_after == 9
    with pytest.raises(TooManyRequests) as often:
        gateway._call("GET", "/often")
    assert (often.value.retry_after, often.value.limit) == (31, 10)


def test_an_answer_in_no_form_we_know_is_said_to_be(gateway: Gateway) -> None:
    with pytest.raises(UpstreamFailed, match="answered 500 in no form we know"):
        gateway._call("GET", "/broken")


def test_a_gateway_that_is_away_is_said_to_be() -> None:
    away = Gateway("http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"does not answer \(request [0-9a-f]{32}\)"):
        away.status()


def test_who_one_is_comes_from_the_gateway(gateway: Gateway, fake: Any) -> None:
    tokens = gateway.log_in("ann", "right password")
    assert gateway.me(tokens.access) == {"username": "ann", "role": "user", "must_change_password": False}
    gateway.log_out(tokens.access)
    with pytest.raises(NotAuthenticated):
        gateway.me(tokens.access)
    assert fake.asked[-2] == "POST /logout"


@pytest.mark.slow
def test_each_fault_between_console_and_gateway_costs_a_deadline(
    fake: Any, serve: Callable[[Any], str], fault_proxy: Callable[[str], Any], each_fault: Callable[..., None],
    outcome: Callable[..., set[int]],
) -> None:  # fmt: skip
    proxy = fault_proxy(serve(fake.app()))
    console = Gateway(proxy.address, seconds=1.0)
    each_fault("console → gateway", proxy, lambda: outcome(console.status), most_seconds=3)


def test_an_answer_without_end_is_not_taken_in(serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(20):
            await send({"type": "http.response.body", "body": b" " * 1000, "more_body": True})
        await send({"type": "http.response.body"})

    monkeypatch.setattr("streamlit_app.client._MOST_BYTES", 10_000)
    with pytest.raises(Unavailable):
        Gateway(serve(endless)).status()
