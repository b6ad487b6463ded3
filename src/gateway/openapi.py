"""The OpenAPI document: what FastAPI derives from the routes, and what it cannot know of them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from meteo.http.problems import PROBLEM_JSON
from meteo.schemas.problems import Problem

_EXAMPLE = {
    "type": "about:blank", "title": "Invalid input", "status": 422, "instance": "/predict",
    "detail": "observation.humidity_3pm: Input should be less than or equal to 100",
    "request_id": "6f1d0c52a2b84b6a8f0f3f5a5a0c9d11",
    "errors": [{"field": "observation.humidity_3pm", "message": "Input should be less than or equal to 100"}],
}  # fmt: skip
_SECONDS = {"schema": {"type": "integer", "minimum": 0}, "description": "seconds"}
_REQUEST_ID = {"schema": {"type": "string"}, "description": "To search the logs by; an own sane one is kept"}
_RATE = {
    "RateLimit-Limit": {"schema": {"type": "integer"}, "description": "requests in the window; of a batch, rows"},
    "RateLimit-Remaining": {"schema": {"type": "integer"}, "description": "requests, or rows, left"},
    "RateLimit-Reset": _SECONDS,
}
_COUNTED = ("/predict", "/predict/batch", "/token", "/register", "/me/password")


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of `app`; made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _described(app)
    return app.openapi_schema


def _described(app: FastAPI) -> dict[str, Any]:
    document: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _complete(path, operation)
    schemas = document["components"]["schemas"]
    for of_fastapi in ("HTTPValidationError", "ValidationError"):
        schemas.pop(of_fastapi, None)
    schemas["Problem"] = Problem.model_json_schema() | {"example": _EXAMPLE}
    return document


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    errors = {"422": "Something given cannot be right; `errors` names the fields"}
    if "security" in operation:
        errors["401"] = "No valid access token or API key"
        errors["403"] = "Not with this role, not by an API key, or not before the password is changed"
    if "requestBody" in operation:
        errors |= {"408": "The body took too long", "413": "The body is too large", "415": "Not this media type"}
    if path in _COUNTED:
        errors["429"] = "Too many; Retry-After says when there is room"
    errors["default"] = "Any other error, as a problem"
    for code, sentence in errors.items():
        responses[code] = {
            "description": sentence,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    for code, response in responses.items():
        headers = response.setdefault("headers", {})
        headers["X-Request-ID"] = _REQUEST_ID
        if path in _COUNTED and code in ("200", "429") and (path, code) != ("/token", "200"):
            headers |= _RATE
        if code == "429":
            headers["Retry-After"] = _SECONDS
