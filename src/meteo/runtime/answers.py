"""Answers of other services, checked for what we need of them before anything is read.

Nonsense is UpstreamFailed, which names the service and the place, and never repeats what was said there.
"""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from meteo.errors import UpstreamFailed

T = TypeVar("T")
LAST_MS = 253_402_300_799_000
"""The last second of the year 9999, in milliseconds since 1970: no date is later."""


class Needed(BaseModel):
    """The part of an answer that we need; there may be more in it. Each field can be given by its own name as well."""

    model_config = ConfigDict(allow_inf_nan=False, validate_by_name=True, validate_by_alias=True)


def parsed(service: str, content: bytes, expected: type[T]) -> T:
    """A JSON text as `expected`, strictly: no text for a number, no NaN."""
    adapter: TypeAdapter[T] = _adapter(cast("Hashable", expected))
    try:
        from_json(content, allow_inf_nan=False)
        return adapter.validate_json(content, strict=True)
    except ValueError as error:
        raise _nonsense(service, error) from error


def checked(service: str, value: Any, expected: type[T]) -> T:
    """A value made of what a service answered as `expected`."""
    adapter: TypeAdapter[T] = _adapter(cast("Hashable", expected))
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise _nonsense(service, error) from error


@cache
def _adapter(expected: Any) -> TypeAdapter[Any]:
    return TypeAdapter(expected)


def _nonsense(service: str, error: ValueError) -> UpstreamFailed:
    if not isinstance(error, ValidationError):
        return UpstreamFailed(f"{service} answered with no JSON")
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"]) or "the whole"
    return UpstreamFailed(f"{service} answered with something else than was asked for: {place!a} is not right")
