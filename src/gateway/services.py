"""What the endpoints work with, and the permissions they declare in their signatures."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gateway.airflow import Airflow
from gateway.audit import Audit
from gateway.mlflow import Mlflow
from gateway.sessions import Current, Sessions
from gateway.upstream import ModelApi
from gateway.users import User, Users
from meteo.errors import NotAllowed


@dataclass(frozen=True)
class Services:
    users: Users
    sessions: Sessions
    audit: Audit
    model_api: ModelApi
    airflow: Airflow
    mlflow: Mlflow


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


def _current(request: Request) -> Current:
    return services(request).sessions.current(request.headers.get("authorization"))


def _user(current: Annotated[Current, Depends(_current)]) -> User:
    return current.user


def _admin(request: Request, user: Annotated[User, Depends(_user)]) -> User:
    if user.role != "admin":
        services(request).audit.write(request, user.username, "access", "refused", path=request.url.path)
        raise NotAllowed("this needs the role admin")
    return user


CurrentSession = Annotated[Current, Depends(_current)]
CurrentUser = Annotated[User, Depends(_user)]
CurrentAdmin = Annotated[User, Depends(_admin)]
Wired = Annotated[Services, Depends(services)]
