"""Logging in and out, and who one is."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, Field

from gateway.services import CurrentSession, CurrentUser, Wired
from gateway.sessions import Pair, SpentToken
from meteo import web
from meteo.contract import Body
from meteo.errors import NotAuthenticated

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


@router.post("/token")
async def token(
    request: Request, wired: Wired,
    username: Annotated[str, Form(max_length=256)], password: Annotated[str, Form(max_length=4096)],
) -> TokenPair:  # fmt: skip
    """Log in."""
    user = await wired.users.verify(username, password)
    outcome = "refused" if user is None else "success"
    await asyncio.to_thread(wired.audit.write, request, username, "login", outcome)
    if user is None:
        raise NotAuthenticated("the user name or the password is wrong")
    return _body(await asyncio.to_thread(wired.sessions.open, user))


@router.post("/token/refresh", openapi_extra=web.documented_body(RefreshRequest))
async def refresh(request: Request, wired: Wired) -> TokenPair:
    """Trade a refresh token for a new pair; a second use of the same one ends the session."""
    body = await web.json_body(request, RefreshRequest)
    try:
        return _body(await asyncio.to_thread(wired.sessions.refresh, body.refresh_token))
    except SpentToken as error:
        await asyncio.to_thread(wired.audit.write, request, error.username, "refresh", "reuse")
        raise


@router.post("/logout", status_code=204)
def logout(request: Request, current: CurrentSession, wired: Wired) -> Response:
    """End this session at once."""
    wired.sessions.revoke(current.session)
    wired.audit.write(request, current.user.username, "logout", "success")
    return Response(status_code=204)


@router.get("/me")
def me(user: CurrentUser) -> Me:
    return Me(username=user.username, role=user.role)


def _body(pair: Pair) -> TokenPair:
    return TokenPair(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in=pair.expires_in)
