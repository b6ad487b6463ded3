import asyncio
import time
from collections.abc import Callable

import pytest
from starlette.types import Message

from meteo.errors import MeteoError, TooLarge, TooSlow
from meteo.http.body_limit import LimitedBody, paused


def sent(*pieces: bytes, seconds: float = 0) -> Callable[[], object]:
    left = list(pieces)

    async def receive() -> Message:
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


async def whole(body: LimitedBody) -> bytes:
    content, more = b"", True
    while more:
        message = await body()
        content, more = content + message["body"], message["more_body"]
    return content


def read(receive: Callable[[], object], limit: int = 100, seconds: float | None = 5, deadline: float = 5) -> bytes:
    async def work() -> bytes:
        async with asyncio.timeout(deadline) as until:
            return await whole(LimitedBody(receive, limit, seconds, None, until))  # type: ignore[arg-type]

    return asyncio.run(work())


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert read(sent(b"a" * 60, b"b" * 40)) == b"a" * 60 + b"b" * 40
    with pytest.raises(TooLarge, match="the body is larger than 100 bytes"):
        read(sent(b"a" * 60, b"b" * 41))


def test_a_sender_who_takes_too_long_is_cut_off() -> None:
    with pytest.raises(TooSlow):
        read(sent(b"a", b"b", seconds=0.2), seconds=0.1)


def test_the_senders_slowness_does_not_use_up_the_answers_time() -> None:
    assert read(sent(b"a", b"b", b"c", seconds=0.1), seconds=5, deadline=0.15) == b"abc"


def test_a_pause_gives_back_what_was_left() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.2) as until:
            with paused(until):
                await asyncio.sleep(0.4)
            await asyncio.sleep(0.05)
            await asyncio.sleep(5)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(work())
    assert 0.5 <= time.monotonic() - began < 3


def test_what_went_wrong_is_kept_for_whoever_answers() -> None:
    async def work() -> MeteoError | None:
        async with asyncio.timeout(5) as until:
            body = LimitedBody(sent(b"a" * 9), 3, 5, None, until)  # type: ignore[arg-type]
            with pytest.raises(TooLarge):
                await whole(body)
            return body.refusal

    assert isinstance(asyncio.run(work()), TooLarge)
