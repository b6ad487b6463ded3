"""Every error as RFC 9457 problem details."""

import sqlite3
from collections.abc import Sequence
from http import HTTPStatus

import sqlalchemy.exc
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from meteo.errors import (
    InvalidInput,
    MeteoError,
    NotAuthenticated,
    TooManyRequests,
    Unavailable,
)
from meteo.http.requests import request_id
from meteo.runtime.logs import logger
from meteo.schemas.problems import Problem, field_errors

PROBLEM_JSON = "application/problem+json"
_AWAY = (OperationalError, sqlalchemy.exc.TimeoutError, sqlite3.OperationalError)


def problem_response(
    request: Request, status: int, detail: str, title: str = "", errors: list[tuple[str, str]] | None = None
) -> JSONResponse:
    """An RFC 9457 response."""
    body = Problem(
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request_id(request),
        errors=[{"field": field, "message": message} for field, message in errors] if errors else None,
    )
    return JSONResponse(body.model_dump(exclude_none=True), status, media_type=PROBLEM_JSON)


async def on_meteo_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MeteoError)
    fields = list(error.fields) if isinstance(error, InvalidInput) else None
    response = problem_response(request, error.status, error.detail, error.title, fields)
    if isinstance(error, Unavailable | TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, TooManyRequests):
        response.headers.update(
            {"RateLimit-Limit": str(error.limit), "RateLimit-Remaining": "0", "RateLimit-Reset": str(error.retry_after)}
        )
    if isinstance(error, NotAuthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem_response(request, error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # the framework tells of one of the routes that share the path
        response.headers["Allow"] = ", ".join(sorted(_methods(request.app.routes, request.scope)))
    return response


def _methods(routes: Sequence[BaseRoute], scope: Scope) -> set[str]:
    """The methods that routes take at the path of `scope`."""
    methods: set[str] = set()
    for route in routes:
        if included := getattr(route, "original_router", None):
            methods |= _methods(included.routes, scope)
        elif route.matches(scope)[0] != Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return methods


async def on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    if isinstance(error, ValidationError):
        fields = field_errors(error.errors(include_input=False, include_url=False, include_context=False))
    else:
        fields = [
            (field.removeprefix("body.").removeprefix("query."), text)
            for field, text in field_errors(list(error.errors()))
        ]
    detail = "; ".join(f"{field}: {message}" for field, message in fields[:5])
    return problem_response(request, 422, detail, "Invalid input", fields)


async def on_failure(request: Request, error: Exception) -> Response:
    """What is answered where no handler knew what to."""
    if isinstance(error, MeteoError):
        return await on_meteo_error(request, error)
    if isinstance(error, _AWAY):
        logger().warning("the database does not answer", error=str(getattr(error, "orig", error)))
        return await on_meteo_error(request, Unavailable("the database does not answer", retry_after=10))
    logger().error("defect", exc_info=error)
    return problem_response(request, 500, "Something went wrong here; search the logs by the request id.")
