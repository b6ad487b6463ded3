"""What a new champion's smoke test concludes from what model APIs answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from meteo.archive.store import ObservationStore
from meteo.errors import Unavailable
from meteo.features.neighbours import Surroundings
from meteo.models.bundle import Model
from meteo.observation import Observations
from meteo.runtime.settings import Settings
from train.smoke import DAYS_BACK, ask_about_stored_days


@pytest.fixture
def ask(
    store: ObservationStore, put: Callable[..., None], weather: Callable[..., Observations], folders: Any,
    serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., dict[str, Any]]:  # fmt: skip
    """Run the smoke test where the model APIs answer as versions `served` in turn, `off` from the right probability."""
    rows = weather(days=40)
    put(store, rows)
    day = rows.day.max() - DAYS_BACK
    around = store.window((day - 1).item(), day.item())
    champion = Model.load(folders.folders["1"], "1")
    then = around[around.day == day]
    right = dict(zip(then.station, champion.probability(champion.matrix(then, Surroundings.of(around))), strict=True))

    def run(served: Iterator[str], off: float = 0.0) -> dict[str, Any]:
        async def batch(request: Request) -> JSONResponse:
            version = {"name": "rain-tomorrow", "version": next(served)}
            asked = await request.json()
            return JSONResponse(
                [{"probability": float(right[one["station"]]) + off, "model": version} for one in asked]
            )

        monkeypatch.setenv("METEO_SERVICE_SECRET", "an unlikely 32 characters of noise")
        monkeypatch.setenv(
            "METEO_API_MODEL__URL", serve(Starlette(routes=[Route("/predict/batch", batch, methods=["POST"])]))
        )
        monkeypatch.setenv("METEO_API_MODEL__POLL_SECONDS", "1")
        monkeypatch.setenv("METEO_STORE__OBSERVATIONS_URL", str(store.engine.url))
        return ask_about_stored_days(Settings(), folders)

    return run


def test_a_replica_may_take_two_looks_at_the_registry(ask: Callable[..., dict[str, Any]]) -> None:
    found = ask(iter(["2", "1"]))
    assert (found["version"], found["stations"]) == ("1", 2)


def test_another_version_for_longer_is_a_failure(ask: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(Unavailable, match="version 2 says"):
        ask(iter(["2"] * 10))


def test_another_probability_is_a_failure(ask: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(Unavailable, match="where version 1 says"):
        ask(iter(["1"] * 10), off=0.01)
