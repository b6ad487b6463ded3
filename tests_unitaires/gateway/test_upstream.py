import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.circuit_breaker import CircuitBreaker
from gateway.model_api import StreamedAnswer
from gateway.upstream import Upstream
from meteo.errors import NotFound, Unavailable, UpstreamFailed


def call(address: str, deadline: float, *path: str) -> Any:
    async def once() -> Any:
        upstream = Upstream("the part", address, deadline)
        try:
            return await upstream.call("GET", *path)
        finally:
            await upstream.close()

    return asyncio.run(once())


def test_a_service_that_is_away_is_said_to_be() -> None:
    with pytest.raises(Unavailable, match="the part does not answer"):
        call("http://127.0.0.1:9", 5, "x")


def test_a_dripping_answer_ends_at_the_deadline(serve: Callable[[Any], str]) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x"
            await asyncio.sleep(0.1)

    async def dripping(_: Request) -> Response:
        return StreamingResponse(drip())

    started = time.monotonic()
    with pytest.raises(Unavailable):
        call(serve(Starlette(routes=[Route("/{path:path}", dripping)])), 0.5, "x")
    assert time.monotonic() - started < 3


def test_each_part_of_a_path_stays_one_part(serve: Callable[[Any], str]) -> None:
    async def echo(request: Request) -> Response:
        return Response(request.scope["raw_path"])

    address = serve(Starlette(routes=[Route("/{path:path}", echo)]))
    assert call(address, 5, "a/b", "c?d#e", "http://x").text == "/a%2Fb/c%3Fd%23e/http%3A%2F%2Fx"


@pytest.mark.parametrize("part", ["..", ".", ""])
def test_a_part_that_would_leave_the_path_is_refused(part: str) -> None:
    with pytest.raises(NotFound):
        call("http://127.0.0.1:9", 5, "a", part, "b")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_five_failures_nobody_asks_until_one_probe_has_succeeded() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    for _ in range(4):
        assert breaker.retry_after() is None
        breaker.record(False)
    breaker.record(True)
    for _ in range(5):
        assert breaker.retry_after() is None
        breaker.record(False)
    assert breaker.retry_after() == CircuitBreaker.OPEN_SECONDS
    clock.now += CircuitBreaker.OPEN_SECONDS
    assert breaker.retry_after() is None, "the probe"
    assert breaker.retry_after() is not None, "all others wait for it"
    breaker.record(False)
    assert breaker.retry_after() == CircuitBreaker.OPEN_SECONDS
    clock.now += CircuitBreaker.OPEN_SECONDS
    assert breaker.retry_after() is None
    breaker.record(None)
    assert breaker.retry_after() is None, "a probe that was given up is made by the next"
    breaker.record(True)
    assert breaker.retry_after() is None


@pytest.mark.slow
def test_a_service_that_comes_back_is_asked_again(serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CircuitBreaker, "OPEN_SECONDS", 0.3)
    asked = 0
    broken = True

    async def answer(_: Request) -> Response:
        nonlocal asked
        asked += 1
        if broken:
            await asyncio.sleep(5)
        return Response("well")

    address = serve(Starlette(routes=[Route("/{path:path}", answer)]))

    async def story() -> None:
        nonlocal broken
        upstream = Upstream("the part", address, 0.4)
        for _ in range(5):
            with pytest.raises(Unavailable, match="does not answer"):
                await upstream.call("GET", "x")
        with pytest.raises(Unavailable, match="has not answered of late") as refusal:
            await upstream.call("GET", "x")
        assert refusal.value.retry_after >= 1
        assert asked == 5
        broken = False
        await asyncio.sleep(0.35)
        assert (await upstream.call("GET", "x", deadline=5)).text == "well"
        assert (await upstream.call("GET", "x", deadline=5)).text == "well"
        await upstream.close()

    asyncio.run(story())


def test_an_answer_without_end_is_not_taken_in(serve: Callable[[Any], str]) -> None:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(3000):
            yield b"x" * 100_000

    async def answer(_: Request) -> Response:
        return StreamingResponse(flood())

    address = serve(Starlette(routes=[Route("/{path:path}", answer)]))

    async def once() -> None:
        upstream = Upstream("the part", address, 20, most=1_000_000)
        with pytest.raises(UpstreamFailed, match="more than 1,000,000 bytes"):
            await upstream.call("GET", "x")
        await upstream.close()

    asyncio.run(once())


def test_a_compressed_bomb_counts_by_what_it_unpacks_to(serve: Callable[[Any], str]) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    async def answer(_: Request) -> Response:
        return Response(bomb, headers={"content-encoding": "gzip"})

    address = serve(Starlette(routes=[Route("/{path:path}", answer)]))

    async def once() -> None:
        upstream = Upstream("the part", address, 20, most=5_000_000)
        with pytest.raises(UpstreamFailed):
            await upstream.call("GET", "x")
        await upstream.close()

    assert len(bomb) < 100_000
    asyncio.run(once())


def test_clients_that_read_slowly_open_no_breaker_for_the_others(serve: Callable[[Any], str]) -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    async def answer(request: Request) -> Response:
        return StreamingResponse(drip()) if request.url.path == "/long" else Response("well")

    address = serve(Starlette(routes=[Route("/{path:path}", answer)]))

    async def story() -> None:
        upstream = Upstream("the part", address, 5)

        async def send(_: Any) -> None:
            return

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def head(_: int, __: Any) -> dict[str, str]:
            return {}

        for _ in range(CircuitBreaker.FAILURES):
            through = StreamedAnswer(upstream, upstream.asking("GET", "long", deadline=0.2), head)
            with pytest.raises(UpstreamFailed, match="broke off"):
                await through({}, receive, send)
        assert (await upstream.call("GET", "x")).text == "well"
        await upstream.close()

    asyncio.run(story())
