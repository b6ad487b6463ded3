"""Errors as every service answers them."""

from typing import Any

from pydantic import (
    BaseModel,
)


class Problem(BaseModel):
    """RFC 9457 problem details; `errors` names the offending fields of a 422."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[dict[str, str]] | None = None


def field_errors(errors: list[Any]) -> list[tuple[str, str]]:
    """Pydantic's errors as (field, message) pairs, without the input, which may be secret or unprintable."""
    return [
        (".".join(str(part) for part in error["loc"]) or "body", error["msg"].removeprefix("Value error, "))
        for error in errors
    ]
