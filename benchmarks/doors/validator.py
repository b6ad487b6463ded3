"""What nginx asks by `auth_request`: reads the token, answers 204 with the service token to go on with."""

import os
from typing import Any

import jwt
import uvicorn

from meteo.runtime.service_tokens import Caller, ServiceTokens

SERVICE = ServiceTokens(os.environ["METEO_SERVICE_SECRET"])


async def app(scope: Any, _: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    shown = dict(scope["headers"]).get(b"authorization", b"").removeprefix(b"Bearer ").decode()
    headers, status = [], 204
    try:
        username = jwt.decode(shown, os.environ["JWT_SECRET"], algorithms=["HS256"])["sub"]
        headers.append((b"x-service", f"Bearer {SERVICE.issue(Caller(username, 'user', 'gateway'))}".encode()))
    except jwt.PyJWTError:
        status = 401
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False, lifespan="off")
