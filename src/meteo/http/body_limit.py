"""Bodies are cut off when they become too large or too slow."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from meteo.errors import (
    MeteoError,
    TooLarge,
    TooSlow,
)

_SLOWEST_BYTES_A_SECOND = 50_000


@contextmanager
def paused(deadline: asyncio.Timeout) -> Iterator[None]:
    """Have the deadline stand still while one waits for the sender, whose slowness has limits of its own."""
    now, when = asyncio.get_running_loop().time, deadline.when()
    began = now()
    deadline.reschedule(None)
    try:
        yield
    finally:
        if when is not None:
            deadline.reschedule(when + now() - began)


class LimitedBody:
    """A request's body as the application receives it: cut off by `refusal` when it becomes too large or too slow."""

    def __init__(
        self,
        receive: Receive,
        limit: int,
        seconds: float | None,
        refusal: MeteoError | None,
        deadline: asyncio.Timeout,
    ) -> None:
        self.refusal = refusal
        self._deadline = deadline
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._began = time.perf_counter()
        self._complete = seconds is None
        self._taken = 0

    async def __call__(self) -> Message:
        if self._complete:
            message = await self._receive()
        else:
            allowed = (self._seconds or 0) + self._taken / _SLOWEST_BYTES_A_SECOND
            try:
                with paused(self._deadline):
                    async with asyncio.timeout(max(0.0, self._began + allowed - time.perf_counter())):
                        message = await self._receive()
            except TimeoutError:
                self.refusal = TooSlow("the body of the request did not arrive in time")
                raise self.refusal from None
            self._complete = not message.get("more_body", False)
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            self.refusal = TooLarge(f"the body is larger than {self._limit:,} bytes")
            raise self.refusal
        return message
