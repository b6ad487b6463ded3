import json

from pydantic import BaseModel

from meteo.http.openapi import documented_body


class Inner(BaseModel):
    depth: int


class Outer(BaseModel):
    name: str
    inner: Inner


def test_a_body_is_documented_with_its_parts_written_out() -> None:
    body = documented_body(Outer)["requestBody"]
    assert body["required"] is True
    schema = body["content"]["application/json"]["schema"]
    assert schema["properties"]["inner"]["properties"]["depth"]["type"] == "integer"
    assert "$ref" not in json.dumps(schema), "what a reference names is in no component"
    assert "$defs" not in schema
