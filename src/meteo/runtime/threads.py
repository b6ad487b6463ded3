"""Threads for work that waits on something outside, such as a database."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from meteo.errors import Unavailable

STUCK_SECONDS = 1.0
PROBE_SECONDS = 1.5


class Threads(ThreadPoolExecutor):
    """As many as `count`; more work queues as long as some gets done.

    When all have been at work for STUCK_SECONDS and none has finished meanwhile, what they wait for is not answering:
    more is refused with Unavailable at once, so that nobody waits behind them.
    """

    def __init__(self, count: int, name: str) -> None:
        super().__init__(count, thread_name_prefix=name)
        self._count = count
        self._name = name
        self._lock = threading.Lock()
        self._unfinished = 0
        self._moved = 0.0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        now = time.monotonic()
        with self._lock:
            if self._unfinished < self._count:
                self._moved = now
            elif now - self._moved > STUCK_SECONDS:
                raise Unavailable(f"all that could do this are waiting ({self._name}); try again in a moment")
            self._unfinished += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._finished)
        return future

    def _finished(self, future: Future[Any]) -> None:
        with self._lock:
            self._unfinished -= 1
            if not future.cancelled():
                self._moved = time.monotonic()


class Probe:
    """Asks a database for a sign of life, in a thread of its own."""

    def __init__(self, name: str, engine: Engine) -> None:
        self._sentence = f"the database of {name} does not answer"
        self._engine = engine
        self._threads = Threads(1, f"probe of {name}")

    async def missing(self) -> str | None:
        """What is wrong, after PROBE_SECONDS at the latest; None where nothing is."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await asyncio.get_running_loop().run_in_executor(self._threads, self._ask)
        except (SQLAlchemyError, TimeoutError, Unavailable):
            return self._sentence
        return None

    def _ask(self) -> None:
        with self._engine.connect() as connection:
            connection.execute(text("SELECT 1"))
