"""What handlers ask of a request: its id, its body."""

from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel

from meteo.errors import (
    InvalidInput,
    WrongKind,
)

Parsed = TypeVar("Parsed", bound=BaseModel)
JSON = "application/json"
BATCH_ROWS = "Batch-Rows"
"""The header by which the model API says, before it answers a batch, how many rows it has."""
ROWS_LEFT = "Rows-Left"
"""The header by which the gateway says how many rows a batch may have; one of more is refused whole."""
MOST_JSON_BYTES = 65_536


def add_log_fields(request: Request, **more: str | float) -> None:
    """Have the log line of this request tell more."""
    request.scope["state"].setdefault("said", {}).update(more)


def request_id(request: Request) -> str:
    """The id of this request, given or made."""
    given: str = request.state.request_id
    return given


async def read_body(request: Request, *kinds: str) -> bytes:
    """The body, WrongKind if it says to be of another media type than `kinds`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in kinds:
        raise WrongKind(f"the body says to be {kind[:64]!a}; {' or '.join(kinds)} is taken")
    return await request.body()


async def read_json(request: Request, model: type[Parsed]) -> Parsed:
    """The body as `model`, parsed from the bytes so that strictness holds for dates as well; no body is {}. A long one
    is refused unread: its parts, and an error for each, would take many times its size."""
    content = await read_body(request, JSON)
    if len(content) > MOST_JSON_BYTES:
        message = f"more than {MOST_JSON_BYTES:,} bytes"
        raise InvalidInput(f"body: {message}", [("body", message)])
    return model.model_validate_json(content or b"{}")
