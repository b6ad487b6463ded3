from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

from meteo.archive.store import ObservationStore
from meteo.archive.tables import OBSERVATIONS


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
