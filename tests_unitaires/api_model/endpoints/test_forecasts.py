import csv
import io
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch
from meteo.archive.store import ObservationStore
from meteo.forecasts.prediction_log import records
from meteo.observation import NAMES, Observations
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import Caller, ServiceTokens

TOKENS = ServiceTokens("s" * 32)


BODY = {"station": "Sydney", "date": "2020-06-01", "observation": {"humidity_3pm": 90}}


def test_a_prediction_is_in_the_log_when_it_is_answered(client: TestClient, log_url: str) -> None:
    answer = client.post("/predict", json=BODY, headers={"X-Request-ID": "request-0001"}).json()
    (record,) = records(connect(log_url))
    assert record.prediction_id == answer["prediction_id"]
    assert (record.subject, record.request_id, record.station) == ("ann", "request-0001", "Sydney")
    assert record.probability == answer["probability"]
    assert record.observation == {"humidity_3pm": 90}
    assert answer["request_id"] == "request-0001"


def test_reasons_come_only_when_asked_for(client: TestClient) -> None:
    assert "contributions" not in client.post("/predict", json=BODY).json()
    answer = client.post("/predict", json={**BODY, "explain": True}).json()
    unknown = next(part for part in answer["contributions"] if part["feature"] == "temp_9am")
    assert unknown["value"] is None


def test_a_prediction_that_cannot_be_logged_is_not_answered(client: TestClient, log_url: str) -> None:
    with connect(log_url).begin() as connection:
        connection.execute(text("DROP TABLE predictions"))
    answer = client.post("/predict", json=BODY)
    assert answer.status_code == 503
    assert "probability" not in answer.json()


def test_wrong_input_is_a_problem_that_names_the_field(client: TestClient) -> None:
    for body, field in (({**BODY, "station": "Sidney"}, "station"), ({**BODY, "date": "2999-01-01"}, "date"),
                        ({**BODY, "observation": {"humidity_3pm": 101}}, "observation.humidity_3pm"),
                        ({**BODY, "date": "1 June"}, "date")):  # fmt: skip
        answer = client.post("/predict", json=body)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]


ROWS = [BODY, {**BODY, "station": "Sidney"}, {**BODY, "observation": {"humidity_3pm": 101}},
        {**BODY, "date": "2999-01-01"}, 7, {**BODY, "explain": True},
        {**BODY, "observation": {"rain_today": True, "wind_dir_3pm": "NW"}}]  # fmt: skip


def test_a_batch_is_answered_row_by_row_and_bad_rows_harm_no_other(client: TestClient, log_url: str) -> None:
    answers = client.post("/predict/batch", json=ROWS).json()
    assert [answer.get("station") for answer in answers] == ["Sydney", None, None, None, None, None, "Sydney"]
    named = [answer["errors"][0]["field"] for answer in answers if "errors" in answer]
    assert named == ["station", "observation.humidity_3pm", "date", "body", "explain"]
    alone = client.post("/predict", json=BODY).json()
    assert answers[0]["probability"] == pytest.approx(alone["probability"], abs=1e-6)
    told = client.post("/predict", json=ROWS[-1]).json()
    assert answers[-1]["probability"] == pytest.approx(told["probability"], abs=1e-6)
    logged = {record.prediction_id for record in records(connect(log_url))}
    assert {answers[0]["prediction_id"], answers[-1]["prediction_id"]} < logged
    assert len(logged) == 4


def test_a_csv_is_answered_as_json_or_as_a_csv(client: TestClient) -> None:
    table = ("station,date,humidity_3pm,wind_dir_3pm,rain_today\r\nSydney,2020-01-30,90,NW,\r\n"
             "Perth,2020-01-30,x,,yes\r\n\"=1+1\",2020-01-30,50,,no\r\n")  # fmt: skip
    kind = {"Content-Type": "text/csv"}
    first, second, third = client.post("/predict/batch", content=table, headers=kind).json()
    assert first["missing"] == [name for name in NAMES if name not in ("humidity_3pm", "wind_dir_3pm")]
    assert second["errors"][0]["field"] == "observation.humidity_3pm"
    assert third["errors"][0]["field"] == "station"
    answer = client.post("/predict/batch", content=table, headers={**kind, "Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["station"] for row in rows] == ["Sydney", "Perth", "'=1+1"]
    assert float(rows[0]["probability"]) == pytest.approx(first["probability"])
    assert "humidity_3pm" in rows[1]["error"]
    assert rows[0]["error"] == ""


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        ("application/json", b"{}", "a list of requests is needed"),
        ("application/json", b"[NaN]", "not JSON"),
        ("application/json", b"[]", "0 rows; 1 to 100,000"),
        ("text/csv", b"station,humidity\nSydney,1\n", "unknown: humidity"),
        ("text/csv", b"station,date\n", "0 rows"),
        ("text/csv", b"\xff\xfe", "not a CSV in UTF-8"),
    ],
)
def test_a_batch_that_is_none_is_refused(client: TestClient, kind: str, body: bytes, reason: str) -> None:
    answer = client.post("/predict/batch", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]


def test_the_map_has_every_station_and_a_chance_where_the_day_is_stored(client: TestClient) -> None:
    found = client.get("/forecast").json()
    assert (found["date"], found["model"]["version"], len(found["stations"])) == ("2020-01-30", "1", 49)
    known = {place["station"]: place for place in found["stations"] if place["probability"] is not None}
    assert set(known) == {"Perth", "Sydney"}
    assert known["Sydney"]["neighbours_used"] == 1
    (day,) = client.get("/stations/Sydney/observations", params={"start": "2020-01-30"}).json()
    given = {name: value for name, value in day["observation"].items() if value is not None}
    asked = {"station": "Sydney", "date": "2020-01-30", "observation": given}
    assert known["Sydney"]["probability"] == pytest.approx(client.post("/predict", json=asked).json()["probability"])
    assert client.get("/forecast", params={"date": "2019-01-01"}).json()["stations"][0]["probability"] is None


def test_past_predictions_come_with_what_then_fell(client: TestClient, admin: dict[str, str]) -> None:
    """The newest stored day's rain is known, the day after it is not."""
    known, latest = {**BODY, "date": "2020-01-29"}, {**BODY, "date": "2020-01-30"}
    (day,) = client.get("/stations/Sydney/observations", params={"start": "2020-01-30"}).json()
    for body in (known, latest, {**latest, "station": "Perth"}):
        client.post("/predict", json=body)
    mine = client.get("/predictions", params={"station": "Sydney"}).json()
    assert [entry["date"] for entry in mine] == ["2020-01-30", "2020-01-29"]
    assert (mine[0]["rainfall"], mine[0]["rained"]) == (None, None)
    assert mine[1]["rainfall"] == day["observation"]["rainfall"]
    assert mine[1]["rained"] == (day["observation"]["rainfall"] > 1.0)
    assert mine[1]["observation"] == {"humidity_3pm": 90}
    bob = {"Authorization": f"Bearer {TOKENS.issue(Caller('bob', 'user', 'gateway'))}"}
    assert client.get("/predictions", headers=bob).json() == []
    assert {entry["username"] for entry in client.get("/predictions", headers=admin).json()} == {"ann"}
    assert len(client.get("/predictions", params={"limit": 1}).json()) == 1
    assert len(client.get("/predictions", params={"start": "2020-01-30", "end": "2020-01-30"}).json()) == 2
    assert client.get("/predictions", params={"station": "Nowhere"}).status_code == 422


def test_live_quality_is_of_forecasts_of_a_period_and_for_admins(
    client: TestClient, admin: dict[str, str], store: ObservationStore, rows: Callable[..., Observations]
) -> None:
    for day in (29, 30, 31):
        for humidity in (10, 90):
            body = {"station": "Sydney", "date": f"2020-01-{day}", "observation": {"humidity_3pm": humidity}}
            client.post("/predict", json=body).raise_for_status()
    assert client.get("/quality").status_code == 403
    (few,) = client.get("/quality", params={"start": "2020-01-01"}, headers=admin).json()
    assert (few["verdict"], few["brier"], few["station"]) == ("not enough data", None, None)
    assert (few["predictions"], few["outcomes"]) == (4, 0), "the rain after the 29th was stored before they were asked"
    run = store.ingestions.begin("demo", {})
    record = FileRecord("later", STORED, "demo", "[]", 1)
    store.upsert(run.id, record, [Batch(rows(("Sydney", "2020-01-31", {"rainfall": 3.0})), "IDCJDW2124")])
    (few,) = client.get("/quality", params={"start": "2020-01-01", "by": "station"}, headers=admin).json()
    assert (few["predictions"], few["outcomes"], few["station"]) == (4, 2, "Sydney")
    assert client.get("/quality", params={"end": "2020-01-28"}, headers=admin).json() == []
    assert client.get("/quality", headers=admin).json() == [], "long ago"


@pytest.mark.parametrize("day", ["0001-01-03", "1899-12-31", "2200-01-01", "9999-12-31", "0", "1/2/2020"])
def test_a_day_that_cannot_be_meant_is_named(client: TestClient, admin: dict[str, str], day: str) -> None:
    for path in ("/quality", "/predictions", "/data-quality", "/stations/Sydney/observations"):
        for name in ("start", "end"):
            refused = client.get(path, params={name: day}, headers=admin)
            assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, name), path
    body = {"station": "Sydney", "date": day, "observation": {"humidity_3pm": 50}}
    refused = client.post("/predict", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "date")
