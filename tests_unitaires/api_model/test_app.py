import csv
import io
import shutil
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, text

from api_model.app import create_app
from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch, Quarantined
from meteo.archive.store import Flag, ObservationStore
from meteo.archive.tables import OBSERVATIONS
from meteo.forecasts.prediction_log import PredictionLog, records
from meteo.observation import NAMES, Observations
from meteo.runtime.database import connect
from meteo.runtime.service_tokens import Caller, ServiceTokens

TOKENS = ServiceTokens("s" * 32)
BODY = {"station": "Sydney", "date": "2020-06-01", "observation": {"humidity_3pm": 90}}


class Windy:
    """Calls every wind of the last day suspect."""

    days_back = 0

    def __call__(self, rows: Observations) -> list[Flag]:
        return [Flag(str(rows.station[-1]), rows.day[-1].item(), "wind_speed_3pm", "range", "windy")]


@pytest.fixture
def admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS.issue(Caller('root', 'admin', 'gateway'))}"}


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'predictions.db'}"


@pytest.fixture
def client(folders: Any, shelf: ModelCache, log_url: str, store: ObservationStore, weather: Callable[..., Observations]
           ) -> Iterator[TestClient]:  # fmt: skip
    run = store.ingestions.begin("demo", {})
    wrong = Quarantined("Sydney", date(2020, 1, 31), "humidity_3pm: outside 0 to 100 %", ["humidity_3pm"],
                        {"humidity_3pm": 400.0, "temp_3pm": 20.5})  # fmt: skip
    record = FileRecord("f", STORED, "demo", "[]", 1, bytes=5)
    store.upsert(run.id, record, [Batch(weather(days=30), "IDCJDW2124", [wrong])], Windy())
    store.ingestions.finish(run.id, "success", 0.1, [])
    predictor = Predictor(shelf, Neighbours(store))
    app = create_app(predictor, PredictionLog(connect(log_url)), store, TOKENS, folders, poll_seconds=60)
    with TestClient(app) as found:
        found.headers["Authorization"] = f"Bearer {TOKENS.issue(Caller('ann', 'user', 'gateway'))}"
        found.post("/reload").raise_for_status()
        yield found


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


@pytest.mark.parametrize("path", ["/model", "/stations", "/stations/Sydney/observations", "/forecast", "/state"])
def test_every_route_needs_a_service_token(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200
    assert client.get(path, headers={"Authorization": "Bearer x"}).status_code == 401


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/reload"])
def test_posts_need_a_service_token_too(client: TestClient, path: str) -> None:
    assert client.post(path, json=BODY, headers={"Authorization": ""}).status_code == 401


def test_wrong_input_is_a_problem_that_names_the_field(client: TestClient) -> None:
    for body, field in (({**BODY, "station": "Sidney"}, "station"), ({**BODY, "date": "2999-01-01"}, "date"),
                        ({**BODY, "observation": {"humidity_3pm": 101}}, "observation.humidity_3pm"),
                        ({**BODY, "date": "1 June"}, "date")):  # fmt: skip
        answer = client.post("/predict", json=body)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_the_card_says_what_serves(client: TestClient) -> None:
    card = client.get("/model").json()
    assert (card["version"], card["kind"], card["simulated"]) == ("1", "xgboost", True)
    assert card["metrics"] == {"brier": 0.1}
    assert client.get("/state").json() == {"model_version": "1", "model_problem": None, "simulated": True}


def test_observations_are_the_newest_fortnight_or_the_range(client: TestClient) -> None:
    newest = client.get("/stations/Sydney/observations").json()
    assert [newest[0]["date"], newest[-1]["date"], len(newest)] == ["2020-01-17", "2020-01-30", 14]
    some = client.get("/stations/Sydney/observations", params={"start": "2020-01-02", "end": "2020-01-03"}).json()
    assert [day["date"] for day in some] == ["2020-01-02", "2020-01-03"]
    assert client.get("/stations/Hobart/observations").json() == []
    assert client.get("/stations/Nowhere/observations").status_code == 422


def test_stations_say_how_new_their_observations_are(client: TestClient) -> None:
    latest = {place["name"]: place["latest"] for place in client.get("/stations").json()}
    assert len(latest) == 49
    assert (latest["Sydney"], latest["Hobart"]) == ("2020-01-30", None)


def test_a_stored_day_says_where_it_came_from_and_what_is_suspect(client: TestClient) -> None:
    day = client.get("/stations/Sydney/observations").json()[-1]
    assert (day["source"], day["product"], day["site"]) == ("demo", "IDCJDW2124", "066214")
    assert day["flags"] == [{"field": "wind_speed_3pm", "kind": "range", "detail": "windy"}]
    assert day["observation"]["sunshine"] is None


def test_ingestions_and_quarantine_are_for_admins(client: TestClient) -> None:
    for path in ("/ingestions", "/ingestions/1/quarantine", "/quarantine", "/data-quality", "/uploads"):
        assert client.get(path).status_code == 403
    assert client.post("/uploads", params={"name": "a.csv"}, content=b"x").status_code == 403
    assert client.post("/quarantine/1/release").status_code == 403


def test_ingestions_are_listed_with_what_they_refused(client: TestClient, admin: dict[str, str]) -> None:
    (run,) = client.get("/ingestions", headers=admin).json()
    assert (run["new"], run["quarantined"], run["state"]) == (60, 1, "success")
    (row,) = client.get(f"/ingestions/{run['id']}/quarantine", headers=admin).json()
    assert (row["station"], row["fields"], row["state"]) == ("Sydney", ["humidity_3pm"], "waiting")
    assert client.get("/ingestions/77/quarantine", headers=admin).status_code == 404


def test_a_refused_row_is_released_once(client: TestClient, admin: dict[str, str]) -> None:
    (row,) = client.get("/quarantine", params={"state": "waiting"}, headers=admin).json()
    released = client.post(f"/quarantine/{row['id']}/release", headers=admin).json()
    assert (released["state"], released["decided_by"]) == ("released", "root")
    newest = client.get("/stations/Sydney/observations").json()[-1]
    assert (newest["date"], newest["observation"]["temp_3pm"]) == ("2020-01-31", 20.5)
    assert client.post(f"/quarantine/{row['id']}/discard", headers=admin).status_code == 409
    assert client.get("/quarantine", params={"state": "waiting"}, headers=admin).json() == []


def test_a_file_that_is_handed_in_waits(client: TestClient, admin: dict[str, str], store: ObservationStore) -> None:
    asked: dict[str, Any] = {"params": {"name": "IDCJDW2124.202305.csv"}, "content": b"a,b\n\xff",
                             "headers": {**admin, "Content-Type": "text/csv"}}  # fmt: skip
    refused = client.post("/uploads", **asked)
    assert (refused.status_code, client.get("/uploads", headers=admin).json()) == (422, [])
    assert "simulated and real ones never share a store" in refused.json()["detail"]
    with store.engine.begin() as connection:
        connection.execute(delete(OBSERVATIONS))
    kept = client.post("/uploads", **asked)
    assert (kept.status_code, kept.json()["name"]) == (201, "IDCJDW2124.202305.csv")
    assert client.get("/uploads", headers=admin).json() == [kept.json()]
    (waiting,) = store.uploads.waiting()
    assert store.uploads.content(waiting) == b"a,b\n\xff", "byte for byte"


@pytest.mark.parametrize("name", ["../a.csv", "a.exe", ".csv", "a b.csv", "a" * 100 + ".csv", ""])
def test_a_file_needs_a_plain_name(client: TestClient, admin: dict[str, str], name: str) -> None:
    answer = client.post("/uploads", params={"name": name}, content=b"x", headers={**admin, "Content-Type": "text/csv"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].endswith("name")


def test_data_quality_counts_field_by_field(client: TestClient, admin: dict[str, str]) -> None:
    perth, sydney = client.get("/data-quality", headers=admin).json()
    assert (sydney["station"], sydney["days"]) == ("Sydney", 30)
    assert sydney["fields"]["wind_speed_3pm"] == {"missing": 0, "flagged": 1, "latest": "2020-01-30"}
    assert perth["fields"]["sunshine"] == {"missing": 30, "flagged": 0, "latest": None}


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


def test_metrics_count_predictions_by_station_and_class(client: TestClient) -> None:
    client.post("/predict", json=BODY)
    text = client.get("/metrics").text
    assert 'predictions_total{rain_tomorrow="true",station="Sydney"} 1.0' in text
    assert 'model_version{name="rain-tomorrow"} 1.0' in text


def test_without_a_model_it_is_alive_but_not_ready(
    log_url: str, store: ObservationStore, folders: Any, shelf: ModelCache
) -> None:
    folders.aliases.clear()
    predictor = Predictor(shelf, Neighbours(store))
    app = create_app(predictor, PredictionLog(connect(log_url)), store, TOKENS, folders, poll_seconds=60)
    with TestClient(app) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        token = {"Authorization": f"Bearer {TOKENS.issue(Caller('ann', 'user', 'gateway'))}"}
        assert client.post("/predict", json=BODY, headers=token).status_code == 503
        assert client.post("/reload", headers=token).status_code == 404


def test_explanations_are_ready_before_anybody_asks(
    log_url: str,
    store: ObservationStore,
    folders: Any,
    shelf: ModelCache,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Any,
) -> None:
    explained: list[Any] = []
    monkeypatch.setattr("meteo.models.bundle.Estimator.contributions", lambda _, matrix: explained.append(matrix))
    app = create_app(Predictor(shelf, Neighbours(store)), PredictionLog(connect(log_url)), store, TOKENS, folders,
                     poll_seconds=60)  # fmt: skip
    with TestClient(app):
        eventually(lambda: bool(explained))
    assert np.isnan(explained[0]).all()


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


def test_published_versions_are_listed_with_their_aliases(client: TestClient) -> None:
    newest, first = client.get("/models").json()
    assert (newest["version"], newest["aliases"]) == ("2", [])
    assert (first["version"], first["aliases"], first["metrics"]) == ("1", ["champion"], {"brier": 0.1})
    assert client.get("/models/2").json()["kind"] == "xgboost"
    assert client.get("/models/77").status_code == 422
    assert client.get("/models/x").status_code == 422


def test_a_promotion_serves_at_once_and_one_call_takes_it_back(client: TestClient, admin: dict[str, str]) -> None:
    assert client.post("/models/2/promote", json={}).status_code == 403
    assert client.post("/models/rollback").status_code == 403
    assert client.post("/models/rollback", headers=admin).status_code == 409
    done = client.post("/models/2/promote", json={"expected": "1"}, headers=admin)
    assert done.json() == {"version": "2", "previous": "1"}
    assert client.post("/predict", json=BODY).json()["model"]["version"] == "2"
    late = client.post("/models/2/promote", json={"expected": "1"}, headers=admin)
    assert late.status_code == 409
    assert client.post("/models/rollback", headers=admin).json() == {"version": "1", "previous": "2"}
    assert client.get("/model").json()["version"] == "1"
    aliases = {version["version"]: version["aliases"] for version in client.get("/models").json()}
    assert aliases == {"1": ["champion"], "2": ["previous"]}


def test_a_version_that_cannot_serve_is_not_promoted(client: TestClient, admin: dict[str, str], folders: Any) -> None:
    folders.folders["3"] = shutil.copytree(folders.folders["2"], folders.folders["2"].with_name("third"))
    (folders.folders["3"] / "model.onnx").write_bytes(b"")
    assert client.post("/models/3/promote", json={}, headers=admin).status_code == 503
    assert folders.aliases == {"champion": "1"}


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
