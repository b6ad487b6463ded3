"""A smoke test of what is served: the model API is asked about stored days, and must answer as the champion does."""

import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from meteo.archive.store import ObservationStore
from meteo.errors import NotEnoughData, Unavailable, UpstreamFailed
from meteo.features.neighbours import Surroundings
from meteo.forecasts.prediction_log import SMOKE_TEST
from meteo.models.registry import Registry
from meteo.runtime.answers import Needed, parsed
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import Caller, ServiceTokens
from meteo.runtime.settings import Settings
from meteo.schemas.forecasts import BatchError, ModelName

DAYS_BACK = 3
"""Today's row may still be changing while it is asked about."""
_AGREES = 1e-4


class _Answer(Needed):
    probability: float
    model: ModelName


def ask_about_stored_days(settings: Settings, registry: Registry) -> dict[str, Any]:
    """Ask the model API about every station's row of some days ago; Unavailable says where it differs from the
    champion, NotEnoughData when no such day is stored. Another version may answer for two polls of the registry."""
    store = ObservationStore(connect(settings.observations_url))
    newest = max(store.latest_days().values(), default=None)
    if newest is None:
        raise NotEnoughData("the observation store is empty")
    asked_of = newest - timedelta(days=DAYS_BACK)
    around = store.window(asked_of - timedelta(days=1), asked_of)
    rows = around[(around.day == np.datetime64(asked_of, "D")) & ~np.isnan(around.values).all(axis=1)]
    with TemporaryDirectory() as folder:
        champion = registry.load(registry.require("champion"), Path(folder))
        expected = champion.probability(champion.matrix(rows, Surroundings.of(around))) if len(rows) else np.empty(0)
    if not len(rows):
        raise NotEnoughData(f"no station has a row of {asked_of}")
    requests = [
        {
            "station": str(place),
            "date": asked_of.isoformat(),
            "observation": {name: value for name, value in items.items() if value is not None},
        }
        for place, items in zip(rows.station, rows.items(), strict=True)
    ]
    answers = _asked(settings, requests)
    deadline = time.monotonic() + 2 * settings.api_model.poll_seconds  # of several replicas, each looks for itself
    while time.monotonic() < deadline and any(
        isinstance(answer, _Answer) and answer.model.version != champion.version for answer in answers
    ):
        time.sleep(1)
        answers = _asked(settings, requests)
    for request, answer, probability in zip(requests, answers, expected.tolist(), strict=True):
        if isinstance(answer, BatchError):
            raise Unavailable(f"{request['station']} on {asked_of} was refused: {answer.detail}")
        if answer.model.version != champion.version or abs(answer.probability - probability) > _AGREES:
            raise Unavailable(
                f"{request['station']} on {asked_of}: version {answer.model.version} says "
                f"{answer.probability:.4f}, where version {champion.version} says {probability:.4f}"
            )
    return {"version": champion.version, "day": asked_of, "stations": len(requests)}


def _asked(settings: Settings, requests: list[dict[str, Any]]) -> list[_Answer | BatchError]:
    secret = settings.secret(settings.service_secret, "METEO_SERVICE_SECRET")
    token = ServiceTokens(secret).issue(Caller(SMOKE_TEST, "admin", "train"))
    try:
        answer = httpx.post(
            f"{settings.api_model.address}/predict/batch",
            json=requests,
            timeout=60,
            trust_env=False,
            headers={"Authorization": f"Bearer {token}"},
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"the model API does not answer: {type(error).__name__}") from error
    if answer.status_code != 200:
        raise Unavailable(f"the model API answered {answer.status_code}: {answer.text[:300]}")
    answers = parsed("the model API", answer.content, list[_Answer | BatchError])
    if len(answers) != len(requests):
        raise UpstreamFailed(f"the model API gave {len(answers)} answers to {len(requests)} questions")
    return answers
