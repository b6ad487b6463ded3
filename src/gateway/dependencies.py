"""What the endpoints work with, and the permissions they declare in their signatures."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response, Security
from fastapi.security import OAuth2PasswordBearer

from gateway.airflow import Airflow
from gateway.api_keys import Keys
from gateway.audit import Audit
from gateway.mlflow import Mlflow
from gateway.model_api import ModelApi
from gateway.rate_limits import Limiter
from gateway.sessions import Current, Login, Sessions
from gateway.users import User, Users
from meteo.errors import NotAllowed
from meteo.http.requests import add_log_fields
from meteo.training_parameters import ModelKind


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
    default_kind: ModelKind = "xgboost"
    """What is trained where nobody says what."""

    async def missing(self) -> str | None:
        """Which store does not answer that the gateway cannot do without; None where all do."""
        return next(filter(None, await asyncio.gather(self.users.missing(), self.limiter.missing())), None)


def services(request: Request) -> Services:
    wired: Services = request.app.state.services
    return wired


_BEARER = OAuth2PasswordBearer("token", refreshUrl="token/refresh", auto_error=False)


async def _current(request: Request, _: Annotated[str | None, Security(_BEARER)] = None) -> Current:
    current = await services(request).sessions.current(request.headers.get("authorization"))
    add_log_fields(request, user=current.user.username)
    return current


async def _login(current: Annotated[Current, Depends(_current)]) -> Login:
    if current.session is None:
        raise NotAllowed("this needs a login: an API key may not do it")
    return Login(current.user, current.session)


async def _user(current: Annotated[Current, Depends(_current)]) -> User:
    if current.user.must_change:
        raise NotAllowed("this password was given by an admin: change it first, by POST /me/password")
    return current.user


async def _session_user(_: Annotated[Login, Depends(_login)], user: Annotated[User, Depends(_user)]) -> User:
    return user


async def _admin(
    request: Request, current: Annotated[Current, Depends(_current)], user: Annotated[User, Depends(_user)]
) -> User:
    if user.role != "admin" or current.session is None:
        needed = "the role admin" if user.role != "admin" else "a login: an API key may not do it"
        await services(request).audit.record(request, user.username, "access", "refused", path=request.url.path)
        raise NotAllowed(f"this needs {needed}")
    return user


async def _predicting(
    request: Request, current: Annotated[Current, Depends(_current)], user: Annotated[User, Depends(_user)]
) -> User:
    """The user, whose prediction is counted; the answer bears what is left."""
    limiter = services(request).limiter
    request.state.rate = await limiter.prediction(user, program=current.session is None)
    return user


async def predicting_user(request: Request) -> User:
    """The permission `PredictingUser`, for a `DirectRoute`."""
    current = await _current(request)
    return await _predicting(request, current, await _user(current))


async def _no_store(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


SECURED: dict[str, object] = {"security": [{_BEARER.scheme_name: []}]}
"""What OpenAPI says of a route that asks for its user itself."""

NO_STORE = Depends(_no_store)
"""Of a route whose answer bears a secret: no cache on the way may keep it (RFC 6749, 5.1)."""

PredictingUser = Annotated[User, Depends(_predicting)]
CurrentCaller = Annotated[Current, Depends(_current)]
"""By a session or an API key, even where the password must be changed first."""
CurrentLogin = Annotated[Login, Depends(_login)]
"""By a session, even where the password must be changed first."""
CurrentUser = Annotated[User, Depends(_user)]
"""By a session or an API key."""
SessionUser = Annotated[User, Depends(_session_user)]
"""By a session: a key that leaks gives no more than what programs need."""
CurrentAdmin = Annotated[User, Depends(_admin)]
"""By a session."""
Wired = Annotated[Services, Depends(services)]
