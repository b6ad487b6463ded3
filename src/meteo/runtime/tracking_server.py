"""MLflow's server behind one password that services share: `mlflow server --app-name password`.

MLflow's own basic-auth app keeps accounts in a database of its own and computes a slow hash at every request. Runs in
MLflow's environment, where nothing else of this package can be imported.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

PASSWORD = "METEO_MLFLOW__PASSWORD"  # noqa: S105
_OPEN = "/health"
_START = {
    "type": "http.response.start",
    "status": 401,
    "headers": [(b"www-authenticate", b'Basic realm="MLflow", charset="UTF-8"'), (b"content-length", b"0")],
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class PasswordRequired:
    """ASGI middleware: 401 to whoever does not send the password, by whatever name; only `/health` is open."""

    def __init__(self, app: App, password: str) -> None:
        self._app = app
        self._password = password.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] == _OPEN or self._admits(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send(_START)
            await send({"type": "http.response.body"})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _admits(self, scope: Scope) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, credentials = given.partition(b" ")
        try:
            password = base64.b64decode(credentials, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
        return scheme.lower() == b"basic" and hmac.compare_digest(password, self._password)


def create_app() -> PasswordRequired:
    """MLflow's application with the password of the environment."""
    expected = password()
    from mlflow.server.fastapi_app import app

    return PasswordRequired(app, expected)


def password() -> str:
    """That of the environment or of the folder METEO_SECRETS; ValueError without."""
    secret = os.environ.get(PASSWORD, "")
    file = Path(os.environ.get("METEO_SECRETS", "."), PASSWORD)
    if not secret and file.is_file():
        secret = file.read_text(encoding="utf-8").strip()
    if len(secret) < 32:
        raise ValueError(f"{PASSWORD} must be set to a random string of at least 32 characters")
    return secret
