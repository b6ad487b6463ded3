"""Several gateway processes behind one port: what one is told, all know at once; limits and metrics are of them all."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from meteo.runtime.database import connect

PREDICTION = {"station": "Sydney", "date": "2020-02-10", "observation": {"humidity_3pm": 80}}
WORKERS = 3


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, open_house: Callable[..., Any], redis: str) -> Any:
    several = {"GATEWAY__WORKERS": str(WORKERS), "GATEWAY__LIMITS": redis, "GATEWAY__PREDICTIONS_USER": "10/minute",
               "GATEWAY__BATCH_ROWS_USER": "10/hour", "GATEWAY__BATCH_ROWS_ADMIN": "20/hour"}  # fmt: skip
    if request.param == "postgresql":
        several["STORE__GATEWAY_URL"] = request.getfixturevalue("postgres")()
    house = open_house(**several)
    for name in ("zoe", "kim", "amy", "boss"):
        name = f"{name}-{request.param}"
        house.add(name, "admin" if name.startswith("boss") else "user")
    house.kind = request.param
    return house


def everywhere(house: Any, bearer: str, path: str = "/me", count: int = 40) -> set[int]:
    """The answers to requests on as many new connections, which the kernel deals out to all workers."""
    headers = {"Authorization": bearer}
    return {httpx.get(f"{house.gateway}{path}", headers=headers, trust_env=False).status_code for _ in range(count)}


@pytest.fixture
def boss(house: Any) -> Iterator[httpx.Client]:
    with house.client(f"boss-{house.kind}") as client:
        yield client


def test_a_change_is_seen_at_once_by_every_worker(house: Any, boss: httpx.Client) -> None:
    name = f"zoe-{house.kind}"
    for change, before, after, path in (
        ({"role": "admin"}, {403}, {200}, "/admin/users"), ({"role": "user"}, {200}, {403}, "/admin/users"),
        ({"enabled": False}, {200}, {401}, "/me"),
    ):  # fmt: skip
        with house.client(name) as zoe:
            bearer = zoe.headers["Authorization"]
        assert everywhere(house, bearer, path) == before
        boss.patch(f"/admin/users/{name}", json=change).raise_for_status()
        assert everywhere(house, bearer, path) == after


def test_a_logout_is_one_for_every_worker(house: Any) -> None:
    with house.client(f"kim-{house.kind}") as kim:
        bearer = kim.headers["Authorization"]
        assert everywhere(house, bearer) == {200}
        kim.post("/logout").raise_for_status()
        assert everywhere(house, bearer) == {401}


def test_all_workers_count_together(house: Any) -> None:
    with house.client(f"kim-{house.kind}") as kim:
        headers = dict(kim.headers)
    answers = [
        httpx.post(f"{house.gateway}/predict", json=PREDICTION, headers=headers, trust_env=False) for _ in range(15)
    ]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 5
    assert [int(answer.headers["RateLimit-Remaining"]) for answer in answers[:10]] == list(range(9, -1, -1))
    bad = [
        httpx.post(f"{house.gateway}/token", data={"username": f"kim-{house.kind}", "password": "x"}, trust_env=False)
        for _ in range(12)
    ]
    assert [answer.status_code for answer in bad] == [401] * 10 + [429] * 2


def test_a_batch_is_charged_by_its_rows_all_or_none(house: Any, boss: httpx.Client) -> None:
    def ask(client: httpx.Client, rows: int) -> tuple[int, int]:
        answer = client.post("/predict/batch", json=[PREDICTION] * rows)
        assert (len(answer.json()) == rows) == (answer.status_code == 200)
        return answer.status_code, int(answer.headers["RateLimit-Remaining"])

    with house.client(f"amy-{house.kind}") as amy:
        assert [ask(amy, rows) for rows in (6, 5, 4, 1)] == [(200, 4), (429, 0), (200, 0), (429, 0)]
        refused = amy.post("/predict/batch", json=[PREDICTION])
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["Retry-After"]) > 0
        assert len(amy.get("/predictions").json()) == 10, "no row of what was refused is answered or logged"
    assert ask(boss, 15) == (200, 5)


def test_metrics_are_of_all_workers(house: Any, boss: httpx.Client) -> None:
    def stations_asked() -> float:
        text = httpx.get(f"{house.gateway}/metrics", trust_env=False).text
        counts = re.findall(r'^http_requests_total\{.*route="/stations",status="200"\} (\S+)$', text, re.MULTILINE)
        assert len(counts) <= 1, "one series, not one a worker"
        return float(counts[0]) if counts else 0.0

    before = stations_asked()
    everywhere(house, boss.headers["Authorization"], "/stations", 30)
    house.eventually(lambda: stations_asked() == before + 30)
    assert {stations_asked() for _ in range(20)} == {before + 30}, "whichever worker is asked"


def test_several_that_count_alone_are_refused(open_house: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="redis"):
        open_house("gateway", GATEWAY__WORKERS="2")


def test_without_the_accounts_nobody_enters_and_it_is_said(
    open_house: Callable[..., Any], postgres: Callable[[], str]
) -> None:
    address = postgres()
    house = open_house(STORE__GATEWAY_URL=address)
    house.add("ann", "user")
    with house.client("ann") as ann:
        assert ann.post("/predict", json=PREDICTION).status_code == 200
        other = connect(postgres())
        with other.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"DROP DATABASE {make_url(address).database} WITH (FORCE)")
        other.dispose()
        for answer in (ann.post("/predict", json=PREDICTION), ann.get("/me"),
                       ann.post("/token", data={"username": "ann", "password": house.password})):  # fmt: skip
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert "psycopg" not in answer.text
