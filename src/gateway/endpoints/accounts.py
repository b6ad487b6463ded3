"""Accounts, as admins see and change them."""

import asyncio
import datetime as dt
import secrets
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from gateway.dependencies import NO_STORE, CurrentAdmin, Wired
from gateway.endpoints.sessions import KeyBody, KeyPrefix
from gateway.users import NAME_SCHEMA, Role, User
from meteo.errors import InvalidInput
from meteo.http.openapi import documented_body
from meteo.http.requests import read_json
from meteo.http.routing import Route
from meteo.schemas.base import Body

router = APIRouter(route_class=Route, prefix="/admin", tags=["accounts"])
Username = Annotated[str, Path(max_length=64)]


class Account(BaseModel):
    username: str
    role: Role
    enabled: bool
    must_change_password: bool


class NewAccount(Body):
    username: str = Field(max_length=256, json_schema_extra=NAME_SCHEMA)
    role: Role = "user"


class AccountChange(Body):
    """What is to change; `reset_password` gives a new one that must be changed at the next login."""

    role: Role | None = None
    enabled: bool | None = None
    reset_password: bool = False


class AccountWithPassword(Account):
    password: str | None = Field(None, description="Given this once, to be changed at the first login")


class AccountKey(KeyBody):
    username: str = Field(description="Whose it is")


class AuditEntry(BaseModel):
    id: int
    at: dt.datetime
    actor: str
    action: str
    outcome: str
    address: str
    request_id: str
    detail: dict[str, Any]


@router.get("/users")
def accounts(_: CurrentAdmin, wired: Wired) -> list[Account]:
    """All accounts, by name."""
    return [Account(**_account(user)) for user in wired.users.all()]


@router.post("/users", status_code=201, dependencies=[NO_STORE], openapi_extra=documented_body(NewAccount))
async def create_account(request: Request, admin: CurrentAdmin, wired: Wired) -> AccountWithPassword:
    """Make an account with a password that must be changed at the first login."""
    asked = await read_json(request, NewAccount)
    password = secrets.token_urlsafe(15)
    user = await wired.users.hashing(wired.users.add, asked.username, password, asked.role, True)
    await wired.audit.record(request, admin.username, "create user", after=_account(user))
    return AccountWithPassword(**_account(user), password=password)


@router.patch("/users/{username}", dependencies=[NO_STORE], openapi_extra=documented_body(AccountChange))
async def change_account(
    username: Username, request: Request, admin: CurrentAdmin, wired: Wired
) -> AccountWithPassword:
    """Change a role, let somebody in or not, or reset a password; it holds from their next request on."""
    asked = await read_json(request, AccountChange)
    if asked.role is None and asked.enabled is None and not asked.reset_password:
        raise InvalidInput("body: role, enabled or reset_password is needed", [("body", "nothing to change")])
    before = await asyncio.to_thread(wired.users.get, username)
    password = secrets.token_urlsafe(15) if asked.reset_password else None
    user = await asyncio.to_thread(wired.users.change, username, asked.role, asked.enabled)
    if password is not None:
        await wired.users.hashing(wired.users.set_password, username, password, True)
        user = User(user.username, user.role, user.enabled, must_change=True)
    await wired.audit.record(
        request,
        admin.username,
        "change user",
        password_reset=asked.reset_password,
        before=before and _account(before),
        after=_account(user),
    )
    return AccountWithPassword(**_account(user), password=password)


@router.delete("/users/{username}", status_code=204)
async def delete_account(username: Username, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """Remove an account with its sessions and keys; its predictions and its traces in the audit stay."""
    before = await asyncio.to_thread(wired.users.get, username)
    await asyncio.to_thread(wired.users.delete, username)
    await wired.audit.record(request, admin.username, "delete user", before=before and _account(before))
    return Response(status_code=204)


@router.get("/keys")
def keys(_: CurrentAdmin, wired: Wired) -> list[AccountKey]:
    """Everybody's API keys, newest first; the keys themselves are never shown again."""
    return [AccountKey(**asdict(key)) for key in wired.keys.all()]


@router.delete("/keys/{prefix}", status_code=204)
async def revoke_key(prefix: KeyPrefix, request: Request, admin: CurrentAdmin, wired: Wired) -> Response:
    """End anybody's API key at once."""
    owner = await asyncio.to_thread(wired.keys.revoke, prefix)
    await wired.audit.record(request, admin.username, "revoke key", prefix=prefix, owner=owner)
    return Response(status_code=204)


@router.get("/audit")
def audit(
    _: CurrentAdmin,
    wired: Wired,
    actor: Annotated[str | None, Query(max_length=64)] = None,
    action: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AuditEntry]:
    """Who did what, newest first."""
    return [AuditEntry(**row) for row in wired.audit.latest(limit, actor, action)]


def _account(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "role": user.role,
        "enabled": user.enabled,
        "must_change_password": user.must_change,
    }
