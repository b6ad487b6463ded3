import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from ingest.bom_source import BomSource
from ingest.demo import app
from ingest.demo.app import create_app
from ingest.demo.climate import Climate
from ingest.demo.weather import Weather
from ingest.job import Ingestion, Request
from ingest.landing import Landing
from ingest.parser import Reading
from meteo.archive.store import ObservationStore
from meteo.observation import Observations
from meteo.station import station

NAME = "IDCJDW2124.202405.csv"


class Clock:
    now = datetime(2024, 5, 20, 6, 0, tzinfo=UTC)  # 4pm in Sydney

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> TestClient:
    return TestClient(create_app(Weather(Climate.load()), clock))


def month(client: TestClient, name: str = NAME) -> bytes:
    answer = client.get(f"/climate/dwo/{name[11:17]}/text/{name}")
    assert answer.status_code == 200
    return answer.content


def rows(content: bytes) -> Observations:
    return Observations.concatenate(
        [batch.observations for batch in Reading(lambda: io.BytesIO(content), NAME, "IDCJDW2124")]
    )


def test_a_file_is_like_the_bureaus_byte_by_byte(client: TestClient, real_data: Path) -> None:
    ours, real = month(client), (real_data / "bom" / "IDCJDW3050.202309.csv").read_bytes()
    headers = [re.search(rb'\r\n(,"Date".*)\r\n', content) for content in (ours, real)]
    assert headers[0] is not None
    assert headers[1] is not None
    assert headers[0][1] == headers[1][1]
    assert not ours.endswith(b"\n")
    assert b"\n" not in ours.replace(b"\r\n", b"")
    assert re.search(rb"\r\n,2024-05-1,", ours)
    cell = rb"(|-?\d+\.\d|\d+|[NSEW]{1,3}| |Calm|\d\d:\d\d)"
    for line in ours.split(b"\r\n")[6:]:
        assert re.fullmatch(rb",2024-05-\d+(," + cell + rb"){20}", line), line


def test_a_file_says_that_it_is_simulated(client: TestClient) -> None:
    assert month(client).startswith(b'"SIMULATED Daily Weather Observations for Sydney')
    assert b"DEMO DATA: not observed and not from the Bureau" in month(client)


def test_calm_is_written_as_the_bureau_does(client: TestClient) -> None:
    everywhere = b"".join(month(client, f"{station(name).bom_product}.202404.csv") for name in ("Canberra", "Nhil"))
    assert b", ,Calm," in everywhere
    assert not re.search(rb"[NSEW],Calm", everywhere)


@pytest.mark.parametrize(
    ("hour", "known", "unknown"),
    [(6, {"temp_9am", "temp_3pm", "min_temp"}, {"max_temp", "wind_gust_speed", "sunshine"}),
     (1, {"temp_9am", "min_temp"}, {"temp_3pm", "max_temp"})],
)  # fmt: skip
def test_todays_row_is_as_far_as_the_day_has_come(
    client: TestClient, clock: Clock, hour: int, known: set[str], unknown: set[str]
) -> None:
    clock.now = datetime(2024, 5, 20, hour, 0, tzinfo=UTC)
    found = rows(month(client))
    assert str(found.day[-1]) == "2024-05-20"
    assert all(np.isfinite(found.column(name)[-1]) for name in known)
    assert all(np.isnan(found.column(name)[-1]) for name in unknown)


def test_before_nine_there_is_no_row_of_today(client: TestClient, clock: Clock) -> None:
    clock.now = datetime(2024, 5, 19, 22, 0, tzinfo=UTC)  # 8am on the 20th in Sydney
    assert str(rows(month(client)).day[-1]) == "2024-05-19"


def test_a_later_day_completes_today_and_alters_nothing_else(client: TestClient, clock: Clock) -> None:
    before = rows(month(client))
    clock.now = datetime(2024, 5, 21, 6, 0, tzinfo=UTC)
    after = rows(month(client))
    known = np.isfinite(before.values)
    np.testing.assert_array_equal(after.values[: len(before)][known], before.values[known])
    assert np.isfinite(after.column("max_temp")[len(before) - 1])


@pytest.mark.parametrize("name", ["IDCJDW2124.202406.csv", "IDCJDW2124.202212.csv", "IDCJDW9999.202405.csv",
                                  "IDCJDW2124.202413.csv", "x.csv"])  # fmt: skip
def test_what_is_not_there_is_a_404_page(client: TestClient, name: str) -> None:
    answer = client.get(f"/climate/dwo/{name[11:17] or 'x'}/text/{name}")
    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]


def test_the_bom_reader_ingests_it_unchanged_over_http(
    serve: Callable[[Any], str], clock: Clock, store: ObservationStore, tmp_path: Path
) -> None:
    address = serve(create_app(Weather(Climate.load()), clock))
    places, months = [station("Sydney"), station("Perth")], [date(2024, 4, 1), date(2024, 5, 1)]

    def ingest() -> dict[str, Any]:
        source = BomSource(address, places, months, user_agent="tests", pause_seconds=0)
        return Ingestion(store, Landing(tmp_path), source, Request("demo"), clock).run(lambda _: None)

    first = ingest()
    assert (first["new"], first["quarantined"], first["problems"]) == (100, 0, [])
    again = ingest()
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 100)
    assert len(store.ingestions.files()) == 4, "an unchanged file is answered 304 and not read again"
    clock.now = datetime(2024, 5, 21, 6, 0, tzinfo=UTC)
    second = ingest()
    assert (second["new"], second["changed"], second["unchanged"]) == (2, 2, 98)
    assert store.simulated() is True


def test_the_simulated_present_can_be_moved() -> None:
    clock = app.Clock(10)
    with TestClient(create_app(Weather(Climate.load()), clock)) as client:
        assert client.put("/clock", json={"days_behind": 3}).status_code == 200
        assert abs(datetime.now(UTC) - clock() - timedelta(days=3)) < timedelta(minutes=1)
        hostile: list[Any] = [
            {"days_behind": -1},
            {"days_behind": "3"},
            {"days_behind": True},
            [],
            {},
            {"days_behind": 10**6},
        ]
        for wrong in hostile:
            assert client.put("/clock", json=wrong).status_code == 422
        assert clock.days_behind == 3


def test_an_instrument_fails_from_a_day_on_until_it_is_mended(client: TestClient) -> None:
    def winds(name: str) -> list[str]:
        rows = [line.split(",") for line in client.get(f"/climate/dwo/202404/text/{name}").text.splitlines()]
        start = next(number for number, row in enumerate(rows) if '"Date"' in row)
        column = next(number for number, title in enumerate(rows[start]) if "9am wind speed" in title)
        return [row[column] for row in rows[start + 1 :]]

    sydney, perth = "IDCJDW2124.202404.csv", "IDCJDW6111.202404.csv"
    sound = winds(sydney), winds(perth)
    fault = {"station": "Sydney", "fields": ["wind_speed_9am"], "start": "2024-04-11", "silent": True}
    assert client.put("/faults", json=[fault]).json()[0]["station"] == "Sydney"
    failing = winds(sydney)
    assert failing[:10] == sound[0][:10]
    assert set(failing[10:]) <= {"", " "}
    assert winds(perth) == sound[1]
    stuck = {**fault, "silent": False, "factor": 0, "offset": 37}
    client.put("/faults", json=[stuck])
    assert set(winds(sydney)[10:]) <= {"37", "", " "}
    assert client.put("/faults", json=[]).json() == []
    assert (winds(sydney), winds(perth)) == sound


@pytest.mark.parametrize(
    "wrong",
    [
        {"station": "Atlantis"},
        {"fields": ["rain"]},
        {"fields": []},
        {"start": "soon"},
        {"colour": "red"},
        {"factor": "x"},
    ],
)
def test_a_fault_that_cannot_be_is_refused_and_changes_nothing(client: TestClient, wrong: dict[str, Any]) -> None:
    fault = {"station": "Sydney", "fields": ["rainfall"], "start": "2024-04-11", **wrong}
    before = client.get("/climate/dwo/202404/text/IDCJDW2124.202404.csv").content
    assert client.put("/faults", json=[fault]).status_code == 422
    assert client.get("/climate/dwo/202404/text/IDCJDW2124.202404.csv").content == before
