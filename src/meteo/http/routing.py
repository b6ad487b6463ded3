"""How a request gets to the function that answers it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from meteo.errors import MeteoError
from meteo.http.problems import on_invalid, on_meteo_error


class DirectRoute:
    """Pure ASGI middleware: answers one POST route before the framework does, whose routing, dependencies and response
    model would cost as much again as a prediction. Errors are answered as everywhere."""

    def __init__(self, app: ASGIApp, path: str, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self.app = app
        self.path = path
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        scope["route"] = self
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except MeteoError as error:
            response = await on_meteo_error(request, error)
        except ValidationError as error:
            response = await on_invalid(request, error)
        await response(scope, receive, send)


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
