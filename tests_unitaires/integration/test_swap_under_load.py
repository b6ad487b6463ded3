"""Promotions while many ask: no request fails, and every answer is of exactly one version."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_model.app import create_app
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import PredictionLog, records
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import Caller, ServiceTokens

TOKENS = ServiceTokens("s" * 32)
ASKERS, SWAPS = 8, 12
HUMIDITIES = (20, 50, 70, 90)


def headers(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS.issue(Caller('ann', role, 'gateway'))}"}


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'predictions.db'}"


@pytest.fixture
def service(
    folders: Any, make_bundle: Callable[[Path, int], Path], store: ObservationStore, log_url: str, tmp_path: Path,
    serve: Callable[[Any], str],
) -> str:  # fmt: skip
    folders.folders["2"] = make_bundle(tmp_path / "other", 5)
    predictor = Predictor(ModelCache(folders, tmp_path / "models"), Neighbours(store))
    app = create_app(predictor, PredictionLog(connect(log_url)), store, TOKENS, folders, poll_seconds=60)
    address = serve(app)
    httpx.post(f"{address}/reload", headers=headers("admin"), timeout=60).raise_for_status()
    return address


def ask(client: httpx.Client, humidity: int, **more: Any) -> httpx.Response:
    body = {"station": "Sydney", "date": "2020-06-01", "observation": {"humidity_3pm": humidity}, **more}
    return client.post("/predict", json=body)


def ask_until_loaded(client: httpx.Client, humidity: int, version: str) -> float:
    """The probability of a version that nobody has asked for yet: it is first tried, which may take longer than a
    request has, so a 503 is asked again when it says so."""
    while (answer := ask(client, humidity, model=version)).status_code == 503:
        time.sleep(int(answer.headers["retry-after"]))
    probability: float = answer.raise_for_status().json()["probability"]
    return probability


def test_promotions_under_load_lose_and_mix_nothing(service: str, log_url: str, folders: Any) -> None:
    with httpx.Client(base_url=service, headers=headers("user"), timeout=30) as client:
        right = {
            (version, humidity): ask_until_loaded(client, humidity, version)
            for version in ("1", "2") for humidity in HUMIDITIES
        }  # fmt: skip
        asked_first = len(right)
    assert right["1", 90] != pytest.approx(right["2", 90], abs=0.01)
    answers: list[tuple[int, httpx.Response]] = []
    ended = threading.Event()

    def asker(number: int) -> None:
        with httpx.Client(base_url=service, headers=headers("user"), timeout=30) as client:
            while not ended.is_set():
                humidity = HUMIDITIES[number % len(HUMIDITIES)]
                answers.append((humidity, ask(client, humidity)))

    threads = [threading.Thread(target=asker, args=(number,)) for number in range(ASKERS)]
    for thread in threads:
        thread.start()
    with httpx.Client(base_url=service, headers=headers("admin"), timeout=60) as admin:
        for swap in range(SWAPS):
            served = "2" if swap % 2 == 0 else "1"
            time.sleep(0.1)
            assert admin.post(f"/models/{served}/promote", json={}).json()["version"] == served
        assert admin.post("/models/rollback").json()["version"] == "2"
    ended.set()
    for thread in threads:
        thread.join()
    assert [answer.text for _, answer in answers if answer.status_code != 200] == []
    versions = {answer.json()["model"]["version"] for _, answer in answers}
    assert versions == {"1", "2"}
    for humidity, answer in answers:
        found = answer.json()
        assert found["probability"] == pytest.approx(right[found["model"]["version"], humidity], abs=1e-6)
    logged = {record.prediction_id: record.probability for record in records(connect(log_url))}
    assert len(logged) == len(answers) + asked_first
    assert all(logged[answer.json()["prediction_id"]] == answer.json()["probability"] for _, answer in answers)


def test_of_two_promotions_at_once_one_wins(service: str, folders: Any) -> None:
    both = threading.Barrier(2)
    found: list[int] = []

    def promote(version: str) -> None:
        with httpx.Client(base_url=service, headers=headers("admin"), timeout=60) as admin:
            both.wait()
            found.append(admin.post(f"/models/{version}/promote", json={"expected": "1"}).status_code)

    with httpx.Client(base_url=service, headers=headers("admin"), timeout=60) as admin:
        assert admin.get("/models/2").status_code == 200  # tried already, so that both get to the same point
    folders.folders["3"] = folders.folders["2"]
    threads = [threading.Thread(target=promote, args=(version,)) for version in "23"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200, 409]


def test_requests_that_arrive_together_are_each_answered_alone(service: str) -> None:
    """A bad request among good ones harms none of them."""
    bodies = [
        {"station": station, "date": date, "observation": {"humidity_3pm": humidity}}
        for station, date in (("Sydney", "2020-06-01"), ("Nowhere", "2020-06-01"), ("Perth", "2999-01-01"),
                              ("Perth", "2020-06-02"))
        for humidity in HUMIDITIES
    ]  # fmt: skip
    together: dict[int, Any] = {}
    with httpx.Client(base_url=service, headers=headers("user"), timeout=30) as client:
        alone = [client.post("/predict", json=body) for body in bodies]
        start = threading.Barrier(len(bodies))

        def send(place: int) -> None:
            with httpx.Client(base_url=service, headers=headers("user"), timeout=30) as own:
                start.wait()
                together[place] = own.post("/predict", json=bodies[place])

        threads = [threading.Thread(target=send, args=(place,)) for place in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for place, expected in enumerate(alone):
        found, right = together[place].json(), expected.json()
        assert together[place].status_code == expected.status_code
        if expected.status_code == 200:
            assert found["probability"] == pytest.approx(right["probability"], abs=1e-6)
            assert (found["station"], found["date"], found["period"]) == (
                right["station"], right["date"], right["period"]
            )  # fmt: skip
        else:
            assert found["errors"] == right["errors"]
