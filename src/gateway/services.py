"""What the endpoints work with, and the permissions they declare in their signatures."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import OAuth2PasswordBearer

from gateway.airflow import Airflow
from gateway.audit import Audit
from gateway.keys import Keys
from gateway.mlflow import Mlflow
from gateway.rates import Limiter
from gateway.sessions import Current, Sessions
from gateway.upstream import ModelApi
from gateway.users import User, Users
from meteo import web
from meteo.errors import NotAllowed


@dataclass(frozen=True)
class Services:
    users: Users
    sessions: Sessions
    audit: Audit
    keys: Keys
    limiter: Limiter
    registration_open: bool
    model_api: ModelApi
    airflow: Airflow
    mlflow: Mlflow


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


_BEARER = OAuth2PasswordBearer("token", refreshUrl="token/refresh", auto_error=False)


async def _current(request: Request, _: Annotated[str | None, Security(_BEARER)] = None) -> Current:
    found = await services(request).sessions.current(request.headers.get("authorization"))
    web.say(request, user=found.user.username)
    return found


async def _user(current: Annotated[Current, Depends(_current)]) -> User:
    if current.user.must_change:
        raise NotAllowed("this password was given by an admin: change it first, by POST /me/password")
    return current.user


async def _admin(request: Request, user: Annotated[User, Depends(_user)]) -> User:
    if user.role != "admin":
        audit = services(request).audit
        await asyncio.to_thread(audit.write, request, user.username, "access", "refused", path=request.url.path)
        raise NotAllowed("this needs the role admin")
    return user


async def _predicting(request: Request, current: Annotated[Current, Depends(_current)],
                      user: Annotated[User, Depends(_user)]) -> User:  # fmt: skip
    """The user, whose prediction is counted; the answer bears what is left."""
    limiter = services(request).limiter
    request.state.rate = await limiter.prediction(user, program=current.session is None)
    return user


async def predicting_user(request: Request) -> User:
    """The permission `PredictingUser`, for a route that is answered before FastAPI resolves it."""
    current = await _current(request)
    return await _predicting(request, current, await _user(current))


PredictingUser = Annotated[User, Depends(_predicting)]
CurrentSession = Annotated[Current, Depends(_current)]
CurrentUser = Annotated[User, Depends(_user)]
CurrentAdmin = Annotated[User, Depends(_admin)]
Wired = Annotated[Services, Depends(services)]
