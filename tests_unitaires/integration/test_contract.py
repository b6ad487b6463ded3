"""The OpenAPI document is true of the running gateway and tells what one needs to know."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
UNLIMITED = "100000/minute"


@pytest.fixture(scope="module")
def generous(open_house: Callable[..., Any]) -> Any:
    """Where nothing is refused for being asked too often."""
    return open_house(
        GATEWAY__REGISTRATION="open", GATEWAY__FAILURES_PER_PEER=UNLIMITED, GATEWAY__FAILURES_PER_ACCOUNT=UNLIMITED,
        GATEWAY__PREDICTIONS_ADMIN=UNLIMITED,
    )  # fmt: skip


@pytest.fixture(scope="module")
def document(generous: Any) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{generous.gateway}/openapi.json", trust_env=False).json()
    return found


def test_whatever_is_generated_from_the_document_is_answered_as_it_says(generous: Any, tmp_path: Path) -> None:
    with generous.client("root") as root:  # as a program: a session would end with the first /logout
        key = root.post("/me/keys", json={"label": "schemathesis"}).raise_for_status().json()["key"]
    command = [
        str(Path(sys.executable).with_name("st")), "--config-file", str(REPOSITORY / "schemathesis.toml"), "run",
        f"{generous.gateway}/openapi.json", "-H", f"Authorization: Bearer {key}", "--checks", "all", "--no-color",
        "-n", "25", "--generation-deterministic", "--continue-on-failure",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    for part in ("gateway", "api_model"):
        assert '"event": "defect"' not in generous.log(part)


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
