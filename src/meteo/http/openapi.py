"""What OpenAPI documents say of bodies that handlers read themselves."""

from typing import Any

from pydantic import BaseModel


def documented_body(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body by `read_json` or passes it on; references are written out."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    for name, part in schema["properties"].items():
        if "$ref" in part:
            schema["properties"][name] = definitions[part["$ref"].rpartition("/")[2]]
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
