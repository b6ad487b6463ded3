"""Logging in and out, and who one is."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, Field

from gateway import devices
from gateway.api_keys import LONGEST_DAYS
from gateway.dependencies import NO_STORE, CurrentCaller, CurrentLogin, Services, SessionUser, Wired
from gateway.sessions import Pair, SpentToken
from gateway.users import NAME_SCHEMA, PASSWORD_SCHEMA, User
from meteo.errors import InvalidInput, NotAllowed, NotAuthenticated, TooManyRequests
from meteo.http.openapi import documented_body
from meteo.http.requests import read_json
from meteo.http.routing import Route
from meteo.schemas.base import Body, Text

router = APIRouter(route_class=Route, tags=["session"])
KeyPrefix = Annotated[str, Path(pattern="^[0-9a-f]{12}$")]


class TokenPair(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int
    refresh_token: str


class RefreshRequest(Body):
    refresh_token: str = Field(max_length=4096)


class Me(BaseModel):
    username: str
    role: str
    must_change_password: bool


class Registration(Body):
    username: str = Field(max_length=256, json_schema_extra=NAME_SCHEMA)
    password: str = Field(max_length=4096, json_schema_extra=PASSWORD_SCHEMA)


class PasswordChange(Body):
    current: str = Field(max_length=4096)
    new: str = Field(max_length=4096, json_schema_extra=PASSWORD_SCHEMA)


class KeyRequest(Body):
    label: str = Field(min_length=1, max_length=64, description="What the key is for")
    days: int = Field(90, ge=1, le=LONGEST_DAYS, description="How long it is good")


class KeyBody(BaseModel):
    prefix: str
    label: str
    created_at: dt.datetime
    expires_at: dt.datetime


class NewKey(KeyBody):
    key: str = Field(description="Shown this once")


@router.post("/token", dependencies=[NO_STORE])
async def token(
    request: Request,
    response: Response,
    wired: Wired,
    username: Annotated[Text, Form(max_length=256)],
    password: Annotated[Text, Form(max_length=4096)],
) -> TokenPair:
    """Log in. The cookie gives no right; with it, strangers' wrong passwords keep nobody out of the next login."""
    account, peer, cookie = username.casefold()[:64], _peer(request), devices.cookie(username)
    device = request.cookies.get(cookie)
    session = None if device is None else await asyncio.to_thread(wired.sessions.of_device, device, username)
    async with _audited_when_throttled(request, wired, username, "login"):
        await wired.limiter.attempt(account, peer, session)
    async with wired.limiter.judging(account, session):
        user = await wired.users.verify(username, password)
        outcome = "refused" if user is None else "success"
        await wired.audit.record(request, username, "login", outcome)
    if user is None:
        await wired.limiter.failed(peer)
        raise NotAuthenticated("the user name or the password is wrong")
    await wired.limiter.succeeded(account, session)
    pair, known = await asyncio.to_thread(wired.sessions.open, user)
    response.set_cookie(
        cookie,
        known,
        devices.SECONDS,
        path="/token",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _body(pair)


@router.post("/token/refresh", dependencies=[NO_STORE], openapi_extra=documented_body(RefreshRequest))
async def refresh(request: Request, wired: Wired) -> TokenPair:
    """Trade a refresh token for a new pair; a second use of the same one ends the session."""
    body = await read_json(request, RefreshRequest)
    try:
        pair = await asyncio.to_thread(wired.sessions.refresh, body.refresh_token)
    except SpentToken as error:
        await wired.audit.record(request, error.username, "refresh", "reuse")
        raise
    await wired.audit.record(request, pair.username, "refresh")
    return _body(pair)


@router.post("/logout", status_code=204)
async def logout(request: Request, current: CurrentLogin, wired: Wired) -> Response:
    """End this session at once."""
    await asyncio.to_thread(wired.sessions.revoke, current.session)
    await wired.audit.record(request, current.user.username, "logout")
    return Response(status_code=204)


@router.post("/register", status_code=201, openapi_extra=documented_body(Registration))
async def register(request: Request, wired: Wired) -> Me:
    """Sign up as a user; 403 unless registration is open."""
    if not wired.registration_open:
        raise NotAllowed("registration is closed; ask an admin for an account")
    await wired.limiter.sign_up(_peer(request))
    asked = await read_json(request, Registration)
    async with wired.audit.recording(request, asked.username, "register"):
        user = await wired.users.hashing(wired.users.add, asked.username, asked.password, "user")
    return _me(user)


@router.get("/me")
async def me(current: CurrentCaller) -> Me:
    """Who one is and what one may do."""
    return _me(current.user)


@router.post("/me/password", status_code=204, openapi_extra=documented_body(PasswordChange))
async def change_password(request: Request, current: CurrentLogin, wired: Wired) -> Response:
    """Change one's password; all sessions and API keys end."""
    asked = await read_json(request, PasswordChange)
    username = current.user.username
    async with _audited_when_throttled(request, wired, username, "change password"):
        await wired.limiter.guess(username, current.session)
    async with wired.limiter.judging(username, current.session):
        proven = await wired.users.verify(username, asked.current)
    if proven is None:
        await wired.audit.record(request, username, "change password", "refused")
        raise InvalidInput("current: it is not the password", [("current", "it is not the password")])
    await wired.limiter.succeeded(username, current.session)
    await wired.users.hashing(wired.users.set_password, username, asked.new)
    await wired.audit.record(request, username, "change password")
    return Response(status_code=204)


@router.get("/me/keys")
def keys(user: SessionUser, wired: Wired) -> list[KeyBody]:
    """One's API keys; the keys themselves are never shown again."""
    return [KeyBody(**asdict(key)) for key in wired.keys.of(user.username)]


@router.post("/me/keys", status_code=201, dependencies=[NO_STORE], openapi_extra=documented_body(KeyRequest))
async def create_key(request: Request, user: SessionUser, login: CurrentLogin, wired: Wired) -> NewKey:
    """Make an API key, to be sent as a bearer token; it may ask for forecasts as one may oneself."""
    asked = await read_json(request, KeyRequest)
    key, text = await asyncio.to_thread(wired.keys.create, user.username, login.session, asked.label, asked.days)
    await wired.audit.record(request, user.username, "create key", prefix=key.prefix)
    return NewKey(**asdict(key), key=text)


@router.delete("/me/keys/{prefix}", status_code=204)
async def revoke_key(prefix: KeyPrefix, request: Request, user: SessionUser, wired: Wired) -> Response:
    """End an API key at once."""
    await asyncio.to_thread(wired.keys.revoke, prefix, user.username)
    await wired.audit.record(request, user.username, "revoke key", prefix=prefix)
    return Response(status_code=204)


@asynccontextmanager
async def _audited_when_throttled(request: Request, wired: Services, actor: str, action: str) -> AsyncIterator[None]:
    try:
        yield
    except TooManyRequests:
        if await wired.limiter.worth_telling(_peer(request)):
            await wired.audit.record(request, actor, action, "throttled")
        raise


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""


def _me(user: User) -> Me:
    return Me(username=user.username, role=user.role, must_change_password=user.must_change)


def _body(pair: Pair) -> TokenPair:
    return TokenPair(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in)
