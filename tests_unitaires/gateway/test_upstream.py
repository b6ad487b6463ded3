import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.upstream import Upstream
from meteo.errors import NotFound, Unavailable


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
