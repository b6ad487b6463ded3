"""The OpenAPI document is true of the running gateway and tells what one needs to know."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from meteo.archive.store import ObservationStore
from meteo.observation import Observations
from meteo.runtime.database import connect

REPOSITORY = Path(__file__).resolve().parents[2]
UNLIMITED = "100000/minute"
EXAMPLES = {"sqlite": "5", "postgresql": "20"}
CONTROLS = ["\0", "a\0b.c", "a\nb", "\x1b[31m", "\x7f", "\x85"]
HALVES = ["\ud800", "a\udfffb.c"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def generous(
    request: pytest.FixtureRequest, open_house: Callable[..., Any], weather: Callable[..., Observations],
    put: Callable[[ObservationStore, Observations], None],
) -> Any:  # fmt: skip
    """Where nothing is refused for being asked too often; once on each kind of database."""
    settings = {
        "GATEWAY__REGISTRATION": "open", "GATEWAY__FAILURES_PER_PEER": UNLIMITED,
        "GATEWAY__FAILURES_PER_ACCOUNT": UNLIMITED, "GATEWAY__PREDICTIONS_ADMIN": UNLIMITED,
        "GATEWAY__ACCESS_MINUTES": "600",
    }  # fmt: skip
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres")
        settings |= {f"STORE__{name}_URL": database() for name in ("OBSERVATIONS", "PREDICTIONS", "GATEWAY")}
        store = ObservationStore(connect(settings["STORE__OBSERVATIONS_URL"]))
        store.create()
        put(store, weather(days=60))
        store.engine.dispose()
    house = open_house(**settings)
    if request.param == "postgresql":
        house.add("root", "admin")
    house.kind = request.param
    return house


@pytest.fixture(scope="module")
def document(generous: Any) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{generous.gateway}/openapi.json", trust_env=False).json()
    return found


def test_no_text_with_a_control_character_gets_past_the_door(generous: Any, document: dict[str, Any]) -> None:
    asked = 0
    with generous.client("root") as root:
        for path, by in document["paths"].items():
            for method, operation in by.items():
                for place, field, request in requests_with(CONTROLS, document, path, operation):
                    answer = root.request(method, **request)
                    told = (method, request, answer.status_code, answer.text)
                    if path == "/predict/batch":  # each row is answered in its place
                        assert answer.status_code == 200, told
                        assert field in {error["field"] for error in answer.json()[0]["errors"]}, told
                    else:
                        assert answer.status_code == (404 if place == "path" and "%00" in request["url"] else 422), told
                        named = {error["field"].partition(".")[0] for error in answer.json().get("errors", [])}
                        assert place == "path" or field.partition(".")[0] in named, told
                    asked += 1
    assert asked > 200
    for part in ("gateway", "api_model"):
        assert '"event": "defect"' not in generous.log(part)


def test_half_a_character_is_refused_or_read_as_none(generous: Any, document: dict[str, Any]) -> None:
    with generous.client("root") as root:
        for path, by in document["paths"].items():
            for method, operation in by.items():
                for place, _, request in requests_with(HALVES, document, path, operation):
                    answer = root.request(method, **request)
                    told = (method, request, answer.status_code, answer.text)
                    assert answer.status_code < 500 or answer.status_code == 503, told
                    assert place != "json" or answer.status_code == 422, told
    for part in ("gateway", "api_model"):
        assert '"event": "defect"' not in generous.log(part)


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "X-Request-ID", "X-Forwarded-For", "User-Agent"])
def test_no_header_does_harm(generous: Any, name: str) -> None:
    with generous.client("root") as root:
        for value in (b"Bearer rtk_\x85\xed\xa0\x80_\xff", b"Bearer \x80.\x9f.\xff", b"\xff" * 3000, b"a" * 9000):
            for method, path in (
                ("GET", "/me/keys"),
                ("DELETE", "/me/keys/0123456789ab"),
                ("POST", "/admin/monitoring"),
            ):
                answer = root.request(method, path, headers={name.encode(): value})
                assert answer.status_code < 500 or answer.status_code == 503, (method, path, value, answer.text)
    for part in ("gateway", "api_model"):
        assert '"event": "defect"' not in generous.log(part)


def requests_with(
    values: Sequence[str], document: dict[str, Any], path: str, operation: dict[str, Any]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests of an operation with one of the values in each place where a text can stand: where, in which field."""
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        for value in values:
            text = quote(value.encode("utf-8", "surrogatepass"), safe="")
            filled = re.sub(r"{.*?}", "1", path.replace(f"{{{name}}}", text if parameter["in"] == "path" else "1"))
            yield parameter["in"], name, {"url": filled if parameter["in"] == "path" else f"{filled}?{name}={text}"}
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        for field in fields_of(document, content["schema"]) if "json" in kind or "form" in kind else ():
            for value in values:
                url = re.sub(r"{.*?}", "1", path)
                if "form" in kind:
                    form = f"{field}={quote(value.encode('utf-8', 'surrogatepass'), safe='')}"
                    yield "form", field, {"url": url, "content": form, "headers": {"Content-Type": kind}}
                else:
                    body: Any = value
                    for part in reversed(field.split(".")):
                        body = [body] if part == "0" else {part: body}
                    rows = [body] if path == "/predict/batch" else body
                    yield "json", field, {"url": url, "content": json.dumps(rows), "headers": {"Content-Type": kind}}


def fields_of(document: dict[str, Any], schema: dict[str, Any], name: str = "") -> set[str]:
    """Where a text can stand in a body, as the errors name it; the rows of a batch name theirs from the row."""
    if "$ref" in schema:
        return fields_of(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], name)
    found = {name} if schema.get("type") == "string" or "enum" in schema else set()
    for choice in schema.get("anyOf", []):
        found |= fields_of(document, choice, name)
    inner = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        inner["any"] = schema["additionalProperties"]
    if "items" in schema and name:
        inner["0"] = schema["items"]
    elif "items" in schema:
        found |= fields_of(document, schema["items"])
    for part, its in inner.items():
        found |= fields_of(document, its, f"{name}.{part}".lstrip("."))
    return found


def test_every_operation_says_what_it_does_who_may_call_it_and_how_it_fails(document: dict[str, Any]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operations = [(path, operation) for path, by in document["paths"].items() for operation in by.values()]
    assert len(operations) > 30
    for path, operation in operations:
        assert operation.get("description"), path
        responses = operation["responses"]
        assert {"422", "default"} <= set(responses), path
        assert ({"401", "403"} <= set(responses)) == ("security" in operation), path
        assert all("X-Request-ID" in response["headers"] for response in responses.values()), path
        assert all(response["content"] == problem for code, response in responses.items() if code[0] in "45d"), path
    assert document["components"]["schemas"]["Problem"]["example"]["errors"]


def test_every_field_of_an_observation_has_its_unit_and_limits(document: dict[str, Any]) -> None:
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    fields = content["schema"]["properties"]["observation"]["properties"]
    for name, field in fields.items():
        told = str(field)
        assert field.get("description"), name
        if not name.endswith("_dir") and "wind_dir" not in name and name != "rain_today":
            assert "minimum" in told, name
            assert "maximum" in told, name
    assert content["schema"]["examples"][0]["observation"]


@pytest.mark.parametrize("caller", ["key", "session"])  # who, as an admin, may reset any password
def test_whatever_is_generated_from_the_document_is_answered_as_it_says(
    generous: Any, tmp_path: Path, caller: str
) -> None:
    with generous.client("root") as root:
        if caller == "session":  # which would end with the first /logout
            bearer, paths = root.headers["Authorization"], ["--exclude-path", "/logout"]
        else:
            key = root.post("/me/keys", json={"label": "schemathesis"}).raise_for_status().json()["key"]
            bearer, paths = f"Bearer {key}", ["--include-path-regex", "^/(logout|me|predict)"]
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", str(REPOSITORY / "schemathesis.toml"), "run",
        f"{generous.gateway}/openapi.json", "-H", f"Authorization: {bearer}", *paths, "--checks", "all", "--no-color",
        "-n", EXAMPLES[generous.kind], "--generation-deterministic", "--continue-on-failure",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    for part in ("gateway", "api_model"):
        assert '"event": "defect"' not in generous.log(part)
