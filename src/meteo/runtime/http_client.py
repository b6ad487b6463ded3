"""HTTP requests of which each has one deadline for all of its answer: httpx's own begin anew at each piece of it."""

import asyncio
import ssl
from functools import cache
from typing import Any

import httpx

_UNPACKED = {"Accept-Encoding": "identity"}


def send(method: str, url: str, seconds: float, most_bytes: int, **given: Any) -> httpx.Response:
    """The whole answer. httpx.HTTPError where there is none within `seconds`, or one of more than `most_bytes`;
    `given` is what httpx takes for a request. Not for a thread in which an event loop runs."""
    return asyncio.run(_send(method, url, seconds, most_bytes, given))


async def _send(method: str, url: str, seconds: float, most_bytes: int, given: dict[str, Any]) -> httpx.Response:
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(verify=tls(), trust_env=False, timeout=seconds, headers=_UNPACKED) as client,
            client.stream(method, url, **given) as answer,
        ):
            content = bytearray()
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > most_bytes:
                    raise httpx.DecodingError(f"an answer of more than {most_bytes:,} bytes")
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=bytes(content), request=answer.request
            )
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no whole answer within {seconds:g} s") from error


@cache
def tls() -> ssl.SSLContext:
    """Made once: it takes longer than a request."""
    return httpx.create_ssl_context()
