"""The part of the long mixed load that fits into a test, against the real gateway and model API."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import soak
from sqlalchemy import select

from meteo.forecasts.tables import PREDICTIONS
from meteo.runtime.database import connect

SECONDS = 20


def test_a_mixed_load_with_the_model_api_killed_meanwhile_breaks_no_promise(
    open_house: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak, "GROWTH_MB", 80.0)  # the first seconds, of which this is made, are those of warming up
    house = open_house(GATEWAY__PREDICTIONS_USER="10/minute")

    def kill() -> None:
        os.killpg(house.running["api_model"].pid, signal.SIGKILL)
        house.running.pop("api_model").wait()
        house.start("api_model")

    def logged() -> set[str]:
        with connect(f"sqlite:///{house.home / 'predictions.db'}").connect() as connection:
            return set(connection.scalars(select(PREDICTIONS.c.prediction_id)))

    target = soak.Target(
        house.gateway, {"username": "root", "password": house.password}, kill, lambda: house.ready("api_model"),
        lambda: house.memory_mb("gateway"), logged, triggers=False,
    )  # fmt: skip
    found = soak.run(target, SECONDS, users=30)
    assert found["broken"] == {}
    assert found["predictions"] > 200
    assert found["codes"]["POST /predict 503"] > 0, "the restarts were felt"
    assert len(found["restarts_seconds"]) == len(soak.RESTARTS)


def test_what_does_not_hold_is_told(open_house: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "SETTLING_SECONDS", 0.5)
    house = open_house()

    def kill_for_good() -> None:
        if "api_model" in house.running:
            house.stop("api_model", signal.SIGKILL)

    grows = iter(range(0, 10**6, 5)).__next__
    admin = {"username": "root", "password": house.password}
    target = soak.Target(house.gateway, admin, kill_for_good, lambda: True, grows, set, triggers=False)
    broken = soak.run(target, SECONDS, users=12)["broken"]
    assert {
        "5xx outside of the restarts", "answered predictions that are not in the log",
        "growth of the gateway's memory, MB",
    } == set(broken)  # fmt: skip
