import shutil
from typing import Any

from fastapi.testclient import TestClient

BODY = {"station": "Sydney", "date": "2020-06-01", "observation": {"humidity_3pm": 90}}


def test_the_card_says_what_serves(client: TestClient) -> None:
    card = client.get("/model").json()
    assert (card["version"], card["kind"], card["simulated"]) == ("1", "xgboost", True)
    assert card["metrics"] == {"brier": 0.1}
    assert client.get("/state").json() == {"model_version": "1", "model_problem": None, "simulated": True}


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
