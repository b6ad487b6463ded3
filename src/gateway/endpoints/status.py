"""The truthful state of every part, for anyone, without secrets."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from gateway.dependencies import Services, Wired
from gateway.model_api import State
from meteo.errors import MeteoError

router = APIRouter(tags=["status"])


class Dependency(BaseModel):
    name: str
    state: Literal["up", "down"]
    detail: str | None = None


class Status(BaseModel):
    """`simulated`: whether the observations are demo data; null when there are none or nobody can tell."""

    model_config = ConfigDict(protected_namespaces=())

    status: Literal["ok", "degraded"]
    simulated: bool | None
    model_version: str | None
    dependencies: list[Dependency]


@router.get("/status")
async def status(wired: Wired) -> Status:
    """What is up and what is not, which model serves and whether the data are simulated."""
    (model_api, state), airflow, mlflow = await asyncio.gather(
        _model_api(wired), _checked("airflow", wired.airflow.healthy()), _checked("mlflow", wired.mlflow.healthy())
    )
    dependencies = [model_api, airflow, mlflow]
    return Status(
        status="ok" if all(part.state == "up" for part in dependencies) else "degraded",
        simulated=state.simulated if state else None,
        model_version=state.model_version if state else None,
        dependencies=dependencies,
    )


async def _model_api(wired: Services) -> tuple[Dependency, State | None]:
    try:
        state = await wired.model_api.state()
    except MeteoError as error:
        return Dependency(name="api_model", state="down", detail=error.detail), None
    if state.model_version is None:
        return Dependency(name="api_model", state="down", detail=state.model_problem or "no model serves"), state
    return Dependency(name="api_model", state="up", detail=state.model_problem), state


async def _checked(name: str, check: Awaitable[str | None]) -> Dependency:
    try:
        wrong = await check
    except MeteoError as error:
        wrong = error.detail
    return Dependency(name=name, state="down" if wrong else "up", detail=wrong)
