"""A small gateway that behaves as the contract says, over real HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meteo.database import connect
from streamlit_app.client import Gateway
from streamlit_app.drafts import Drafts
from streamlit_app.session import ConsoleSessions


@dataclass
class FakeGateway:
    """One user, ann; tokens count upwards and may be revoked."""

    life: int = 900
    made: int = 0
    live: set[str] = field(default_factory=set)
    simulated: bool = True
    asked: list[str] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)

    def pair(self) -> Response:
        self.made += 1
        self.live.add(f"access-{self.made}")
        return JSONResponse({"access_token": f"access-{self.made}", "refresh_token": f"refresh-{self.made}",
                             "token_type": "bearer", "expires_in": self.life})  # fmt: skip

    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            call = f"{request.method} {request.url.path}"
            self.asked.append(call)
            if call == "GET /status":
                return JSONResponse({"status": "ok", "simulated": self.simulated, "model_version": "1"})
            if call == "POST /token":
                form = await request.form()
                self.peers.append(request.headers.get("x-forwarded-for", ""))
                return self.pair() if form["password"] == "right password" else _problem(401)
            if call == "POST /token/refresh":
                body = await request.json()
                return self.pair() if body["refresh_token"] == f"refresh-{self.made}" and self.live else _problem(401)
            if call == "GET /broken":
                return Response("<html>", 200 if request.query_params else 500)
            if call == "GET /away":
                return _problem(503, {"Retry-After": "9"})
            if call == "GET /often":
                return _problem(429, {"Retry-After": "31", "RateLimit-Limit": "10"})
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.live:
                return _problem(401)
            if call == "POST /logout":
                self.live.clear()
                return Response(status_code=204)
            return JSONResponse({"username": "ann", "role": "user", "must_change_password": False})

        return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def _problem(status: int, headers: dict[str, str] | None = None) -> Response:
    body = {"title": "x", "status": status, "detail": "as it is", "request_id": "request-1", "errors": []}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


@pytest.fixture
def fake() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def gateway(fake: FakeGateway, serve: Callable[[Any], str]) -> Iterator[Gateway]:
    found = Gateway(serve(fake.app()))
    yield found
    found._client.close()


@pytest.fixture
def sessions(gateway: Gateway, tmp_path: Path) -> ConsoleSessions:
    return ConsoleSessions(connect(f"sqlite:///{tmp_path / 'console.db'}"), gateway, idle_minutes=60)


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(connect(f"sqlite:///{tmp_path / 'console.db'}"))
