"""What the endpoints work with, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from api_model.batches import Batches
from api_model.micro_batching import MicroBatcher
from api_model.serving import Serving
from meteo.archive.store import ObservationStore
from meteo.errors import NotAllowed
from meteo.features.climatology import Climate
from meteo.forecasts.prediction_log import PredictionLog
from meteo.runtime.service_tokens import Caller, ServiceTokens


@dataclass(frozen=True)
class Services:
    """The parts of one running model API; `climates` gives a version's climatology."""

    serving: Serving
    micro_batcher: MicroBatcher
    batches: Batches
    log: PredictionLog
    store: ObservationStore
    tokens: ServiceTokens
    climates: Callable[[str], Climate]
    minimum_outcomes: int


def services(request: Request) -> Services:
    """Those of the application that the request came to."""
    wired: Services = request.app.state.services
    return wired


async def caller(request: Request) -> Caller:
    """NotAuthenticated without a service token."""
    return services(request).tokens.caller(request.headers.get("authorization"))


CurrentCaller = Annotated[Caller, Depends(caller)]


async def admin(current: CurrentCaller) -> Caller:
    """NotAllowed for any other role."""
    if current.role != "admin":
        raise NotAllowed("this is for admins")
    return current


CurrentAdmin = Annotated[Caller, Depends(admin)]
Wired = Annotated[Services, Depends(services)]
Limit = Annotated[int, Query(ge=1, le=500)]
