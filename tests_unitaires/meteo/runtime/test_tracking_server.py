import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from meteo.runtime.settings import Settings
from meteo.runtime.tracking_server import PasswordRequired, create_app, password

PASSWORD = "what services say to each other / of models"


def asked(_: Request) -> Response:
    return PlainTextResponse("as you like")


@pytest.fixture
def mlflow(serve: Callable[[Any], str]) -> str:
    app = Starlette(routes=[Route("/{path:path}", asked, methods=["GET", "POST"]), WebSocketRoute("/live", asked)])
    return serve(PasswordRequired(app, PASSWORD))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!", "Basic Og==", basic(PASSWORD), basic(f"meteo:{PASSWORD} "), basic("meteo:"),
     f"Bearer {PASSWORD}", basic(f"meteo:{PASSWORD}").replace("Basic", "Bearer"), "Basic \u00e9"],
)  # fmt: skip
def test_without_the_password_nothing_but_health_is_answered(mlflow: str, authorization: str) -> None:
    headers = [(b"Authorization", authorization.encode())] if authorization else []
    for path in ("/", "/api/2.0/mlflow/experiments/search", "/health/..", "/%68ealth/", "//health"):
        answer = httpx.get(f"{mlflow}{path}", headers=headers, trust_env=False)
        assert (answer.status_code, answer.content) == (401, b""), path
    assert httpx.get(f"{mlflow}/health", trust_env=False).status_code == 200


def test_the_settings_address_has_it_for_every_client(mlflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METEO_MLFLOW__URL", mlflow)
    assert Settings().mlflow.private_address == mlflow
    monkeypatch.setenv("METEO_MLFLOW__PASSWORD", PASSWORD)
    settings = Settings()
    assert httpx.get(f"{settings.mlflow.private_address}/api", trust_env=False).status_code == 200
    assert PASSWORD not in settings.mlflow.address + repr(settings)


def test_a_server_without_a_password_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METEO_SECRETS", str(tmp_path))
    with pytest.raises(ValueError, match="METEO_MLFLOW__PASSWORD must be set"):
        create_app()
    (tmp_path / "METEO_MLFLOW__PASSWORD").write_text(f"{PASSWORD}\n")
    assert password() == PASSWORD
