"""BOM's month files over HTTP; the demo server speaks the same."""

import asyncio
import io
import threading
from collections.abc import Awaitable, Callable, Container, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import date
from typing import Any

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from ingest.sources import Done, Found, Known, Missing, NotModified, RawFile
from meteo.errors import Unavailable
from meteo.station import Station

SIZE_LIMIT = 5_000_000
"""Bytes; a month file has about 4,000."""
_END_SECONDS = 5
"""For the thread to end: it cannot any more where the interpreter ends before whoever asks for files."""


class _Busy(Unavailable):
    """A failure that may pass: worth another attempt."""


class BomSource:
    """BOM's month files, one polite request at a time, over one connection.

    BOM keeps about the last 14 months at /climate/dwo/YYYYMM/text/PRODUCT.YYYYMM.csv. A request that fails in passing
    is repeated with growing, random pauses, up to `attempts`; `timeout_seconds` bounds each as a whole.
    """

    def __init__(
        self,
        base_url: str,
        stations: Sequence[Station],
        months: Sequence[date],
        *,
        user_agent: str,
        pause_seconds: float = 1.0,
        timeout_seconds: float = 30.0,
        attempts: int = 4,
        backoff_seconds: float = 1.0,
        trust_env: bool = False,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._base_url = base_url
        self._wanted = [(station, month) for month in months for station in stations]
        self._user_agent = user_agent
        self._pause_seconds = pause_seconds
        self._timeout = timeout_seconds
        self._attempts = attempts
        self._backoff = backoff_seconds
        self._trust_env = trust_env
        self._pause = pause
        self.total = len(self._wanted)

    def files(self, done: Container[str], known: Callable[[str], Known | None]) -> Generator[Found]:
        """All of them; one is fetched while whoever asks works on the one before it."""
        with _loop_beside() as loop:
            client = httpx.AsyncClient(
                base_url=self._base_url,
                headers={"User-Agent": self._user_agent},
                trust_env=self._trust_env,
                timeout=self._timeout,
                limits=httpx.Limits(max_connections=1),
            )
            begun = self._begun(loop, client, done, known)
            coming = next(begun, None)
            try:
                while coming is not None:
                    file = coming.result()
                    coming = next(begun, None)
                    yield file
            finally:
                if coming is not None:
                    coming.cancel()
                asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(_END_SECONDS)

    def _begun(
        self,
        loop: asyncio.AbstractEventLoop,
        client: httpx.AsyncClient,
        done: Container[str],
        known: Callable[[str], Known | None],
    ) -> Iterator[Future[Found]]:
        """Begins to fetch one file after the other, each when it is asked for."""
        pause = 0.0
        for station, month in self._wanted:
            name = f"{station.bom_product}.{month:%Y%m}.csv"
            if name in done:
                ready: Future[Found] = Future()
                ready.set_result(Done(name))
                yield ready
                continue
            work = self._after_pause(pause, client, name, station, month, known(name))
            yield asyncio.run_coroutine_threadsafe(work, loop)
            pause = self._pause_seconds

    async def _after_pause(self, seconds: float, client: httpx.AsyncClient, name: str, *asked: Any) -> Found:
        if seconds:
            await self._pause(seconds)
        return await self._persistently(client, name, *asked)

    async def _persistently(
        self, client: httpx.AsyncClient, name: str, station: Station, month: date, known: Known | None
    ) -> Found:
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=wait_random_exponential(self._backoff, max=60),
            retry=retry_if_exception(lambda error: isinstance(error, _Busy)),
            reraise=True,
        )
        return await attempts(self._fetch, client, name, station, month, known)

    async def _fetch(
        self, client: httpx.AsyncClient, name: str, station: Station, month: date, known: Known | None
    ) -> Found:
        headers = {"If-None-Match": known and known.etag, "If-Modified-Since": known and known.last_modified}
        request = client.build_request(
            "GET",
            f"/climate/dwo/{month:%Y%m}/text/{name}",
            headers={header: value for header, value in headers.items() if value},
        )
        try:
            async with asyncio.timeout(self._timeout):
                response = await client.send(request, stream=True)
                try:
                    return self._answer(name, station, response, await _body(response, name))
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise _Busy(f"{self._base_url} did not send {name} within {self._timeout:g} s") from error
        except httpx.HTTPError as error:
            raise _Busy(f"{self._base_url} could not be reached for {name}: {error!r}") from error

    def _answer(self, name: str, station: Station, response: httpx.Response, content: bytes) -> Found:
        status = response.status_code
        if status == 304:
            return NotModified(name)
        if status in (404, 410):
            return Missing(name, f"the server has no such file ({status}): BOM keeps about the last 14 months")
        if status == 403:
            raise Unavailable(
                f"{self._base_url} refused {name} (403). BOM turns away programs it does not recognise as a "
                "browser, and its terms discourage automated reading: download the month files in a browser from "
                "https://www.bom.gov.au/climate/dwo/ and import them with --source file --path FOLDER, or agree access "
                "with BOM and set METEO_INGEST__USER_AGENT."
            )
        if status == 429 or status >= 500:
            raise _Busy(f"{self._base_url} answered {status} for {name}")
        if status != 200:
            raise Unavailable(f"{self._base_url} answered {status} for {name}")
        return RawFile(
            name,
            lambda: io.BytesIO(content),
            station.bom_product,
            response.headers.get("etag"),
            response.headers.get("last-modified"),
        )


async def _body(response: httpx.Response, name: str) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > SIZE_LIMIT:
            raise Unavailable(f"{name} is larger than {SIZE_LIMIT:,} bytes: not a month file")
    return bytes(content)


@contextmanager
def _loop_beside() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop at work in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fetch", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_END_SECONDS)
        if not thread.is_alive():
            loop.close()
