"""Logging in and out, and who one is."""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Request, Response
from pydantic import BaseModel, Field

from gateway.services import CurrentSession, CurrentUser, Services, Wired
from gateway.sessions import Pair, SpentToken
from gateway.users import NAME_SCHEMA, PASSWORD_SCHEMA, User
from meteo import web
from meteo.contract import Body
from meteo.errors import InvalidInput, NotAllowed, NotAuthenticated, TooManyRequests

router = APIRouter(tags=["session"])


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


class KeyBody(BaseModel):
    prefix: str
    label: str
    created_at: dt.datetime


class NewKey(KeyBody):
    key: str = Field(description="Shown this once")


@router.post("/token")
async def token(
    request: Request, wired: Wired,
    username: Annotated[str, Form(max_length=256)], password: Annotated[str, Form(max_length=4096)],
) -> TokenPair:  # fmt: skip
    """Log in."""
    account, peer = username.casefold()[:64], request.client.host if request.client else ""
    try:
        await wired.limiter.attempt(account, peer)
    except TooManyRequests:
        if await wired.limiter.worth_telling(peer):
            await asyncio.to_thread(wired.audit.write, request, username, "login", "throttled")
        raise
    user = await wired.users.verify(username, password)
    outcome = "refused" if user is None else "success"
    await asyncio.to_thread(wired.audit.write, request, username, "login", outcome)
    if user is None:
        await wired.limiter.failed(peer)
        raise NotAuthenticated("the user name or the password is wrong")
    await wired.limiter.succeeded(account)
    return _body(await asyncio.to_thread(wired.sessions.open, user))


@router.post("/token/refresh", openapi_extra=web.documented_body(RefreshRequest))
async def refresh(request: Request, wired: Wired) -> TokenPair:
    """Trade a refresh token for a new pair; a second use of the same one ends the session."""
    body = await web.json_body(request, RefreshRequest)
    try:
        pair = await asyncio.to_thread(wired.sessions.refresh, body.refresh_token)
    except SpentToken as error:
        await asyncio.to_thread(wired.audit.write, request, error.username, "refresh", "reuse")
        raise
    await asyncio.to_thread(wired.audit.write, request, pair.username, "refresh", "success")
    return _body(pair)


@router.post("/logout", status_code=204)
def logout(request: Request, current: CurrentSession, wired: Wired) -> Response:
    """End this session at once."""
    if current.session is None:
        raise NotAllowed("an API key has no session to end; revoke it by DELETE /me/keys/{prefix}")
    wired.sessions.revoke(current.session)
    wired.audit.write(request, current.user.username, "logout", "success")
    return Response(status_code=204)


@router.post("/register", status_code=201, openapi_extra=web.documented_body(Registration))
async def register(request: Request, wired: Wired) -> Me:
    """Sign up as a user; 403 unless registration is open."""
    if not wired.registration_open:
        raise NotAllowed("registration is closed; ask an admin for an account")
    asked = await web.json_body(request, Registration)
    return await _audited(
        request, wired, asked.username, "register", wired.users.add, asked.username, asked.password, "user"
    )


@router.get("/me")
def me(current: CurrentSession) -> Me:
    """Who one is and what one may do."""
    return _me(current.user)


@router.post("/me/password", status_code=204, openapi_extra=web.documented_body(PasswordChange))
async def change_password(request: Request, current: CurrentSession, wired: Wired) -> Response:
    """Change one's password; all sessions end."""
    asked = await web.json_body(request, PasswordChange)
    username = current.user.username
    if current.session is None:
        raise NotAllowed("a password is not changed by an API key")
    if await wired.users.verify(username, asked.current) is None:
        await asyncio.to_thread(wired.audit.write, request, username, "change password", "refused")
        raise InvalidInput("current: it is not the password", [("current", "it is not the password")])
    await wired.users.hashing(wired.users.set_password, username, asked.new)
    await asyncio.to_thread(wired.audit.write, request, username, "change password", "success")
    return Response(status_code=204)


@router.get("/me/keys")
def keys(user: CurrentUser, wired: Wired) -> list[KeyBody]:
    """One's API keys; the keys themselves are never shown again."""
    return [KeyBody.model_validate(key, from_attributes=True) for key in wired.keys.of(user.username)]


@router.post("/me/keys", status_code=201, openapi_extra=web.documented_body(KeyRequest))
async def create_key(request: Request, user: CurrentUser, wired: Wired) -> NewKey:
    """Make an API key, to be sent as a bearer token; it acts with one's own role."""
    asked = await web.json_body(request, KeyRequest)
    key, text = await asyncio.to_thread(wired.keys.create, user.username, asked.label)
    await asyncio.to_thread(wired.audit.write, request, user.username, "create key", "success", prefix=key.prefix)
    return NewKey(prefix=key.prefix, label=key.label, created_at=key.created_at, key=text)


@router.delete("/me/keys/{prefix}", status_code=204)
def revoke_key(
    prefix: Annotated[str, Path(pattern="^[0-9a-f]{12}$")], request: Request, user: CurrentUser, wired: Wired
) -> Response:
    """End an API key at once."""
    wired.keys.revoke(user.username, prefix)
    wired.audit.write(request, user.username, "revoke key", "success", prefix=prefix)
    return Response(status_code=204)


async def _audited(
    request: Request, wired: Services, actor: str, action: str, work: Callable[..., User], *given: Any
) -> Me:
    """Do what computes a hash and makes or changes an account; both outcomes are in the audit."""
    outcome = "refused"
    try:
        user = await wired.users.hashing(work, *given)
        outcome = "success"
    finally:
        await asyncio.to_thread(wired.audit.write, request, actor, action, outcome)
    return _me(user)


def _me(user: User) -> Me:
    return Me(username=user.username, role=user.role, must_change_password=user.must_change)


def _body(pair: Pair) -> TokenPair:
    return TokenPair(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in)
