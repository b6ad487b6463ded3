"""How a request gets to the function that answers it."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute


class DirectRoute(APIRoute):
    """Hands the request to its endpoint and sends what that returns: dependencies, validation and response model, which
    FastAPI would see to, cost a fifth of all the time of a prediction. They serve the documentation alone."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return handler


class Route(APIRoute):
    """Has a plain function run in the loop's default executor (see `meteo.runtime.threads`): the framework counts a
    thread as free when its request is given up, though it still waits."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint if iscoroutinefunction(endpoint) else _in_thread(endpoint), **options)


def _in_thread(work: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(work)
    async def endpoint(*given: Any, **named: Any) -> Any:
        return await asyncio.to_thread(work, *given, **named)

    return endpoint
