"""How a request gets to the function that answers it."""

import asyncio
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import request_response


class DirectRoute(APIRoute):
    """Hands the request to its endpoint and sends what that returns. FastAPI's dependencies, validation and response
    model, which serve the documentation alone here, would cost a fifth of the time of a prediction.

    Only as a route of the application itself (`app.router.routes`): those of an included router are made anew."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = request_response(endpoint)


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
