"""A small gateway that behaves as the contract says, over real HTTP."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meteo.runtime.database import connect
from streamlit_app.client import Gateway
from streamlit_app.drafts import Drafts
from streamlit_app.session import ConsoleSessions


@dataclass
class FakeGateway:
    """One user, ann; tokens count upwards and may be revoked."""

    life: int = 900
    made: int = 0
    live: set[str] = field(default_factory=set)
    unspent: set[str] = field(default_factory=set)
    simulated: bool = True
    asked: list[str] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    cookies: list[dict[str, str]] = field(default_factory=list)
    frozen: dict[str, threading.Event] = field(default_factory=dict)
    """Refresh tokens that are not answered before their event."""

    def pair(self) -> Response:
        self.made += 1
        self.live.add(f"access-{self.made}")
        self.unspent.add(f"refresh-{self.made}")
        return JSONResponse({"access_token": f"access-{self.made}", "refresh_token": f"refresh-{self.made}",
                             "token_type": "bearer", "expires_in": self.life})  # fmt: skip

    def spend(self, refresh: str) -> bool:
        """Whether a refresh token is good, which it is once."""
        good = refresh in self.unspent and bool(self.live)
        self.unspent.discard(refresh)
        return good

    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            call = f"{request.method} {request.url.path}"
            self.asked.append(call)
            if call == "GET /status":
                return JSONResponse({"status": "ok", "simulated": self.simulated, "model_version": "1"})
            if call == "POST /token":
                form = await request.form()
                self.peers.append(request.headers.get("x-forwarded-for", ""))
                self.cookies.append(request.cookies)
                if form["password"] != "right password":
                    return _problem(401)
                answer = self.pair()
                answer.set_cookie("device-ann", f"login-{self.made}", 60, path="/token", httponly=True)
                return answer
            if call == "POST /token/refresh":
                body = await request.json()
                if body["refresh_token"] in self.frozen:
                    await run_in_threadpool(self.frozen[body["refresh_token"]].wait, 10)
                return self.pair() if self.spend(body["refresh_token"]) else _problem(401)
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
def gateway(fake: FakeGateway, serve: Callable[[Any], str]) -> Gateway:
    return Gateway(serve(fake.app()))


@pytest.fixture
def sessions(gateway: Gateway, tmp_path: Path) -> ConsoleSessions:
    return ConsoleSessions(connect(f"sqlite:///{tmp_path / 'console.db'}"), gateway, idle_minutes=60)


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(connect(f"sqlite:///{tmp_path / 'console.db'}"))
