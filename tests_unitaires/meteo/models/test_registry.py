"""The registry's client against a server that answers as MLflow does, well and badly; the real MLflow is in e2e."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from meteo.errors import Conflict, InvalidInput, NotFound, Unavailable, UpstreamFailed
from meteo.models.card import CARD, UnusableModel
from meteo.models.promotion import Promotions
from meteo.models.published import CARD_TAG, SIGNATURE_TAG
from meteo.models.registry import Registry
from meteo.runtime.database import connect, connected

KEY = "with which cards are signed here"
ABSENT = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}


class Mlflow:
    """The few calls that the client makes, over a bundle's folder."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle
        self.aliases: dict[str, str] = {}
        self.versions = [str(number) for number in range(1, 6)]
        self.source = "mlflow-artifacts:/1/run/artifacts/model"
        self.broken: Response | None = None

    def entry(self, version: str) -> dict[str, Any]:
        card = (self.bundle / CARD).read_bytes()
        digest, signature = hashlib.sha256(card).hexdigest(), Registry("", "", KEY).sign(card)
        return {"name": "rain", "version": version, "run_id": "run", "source": self.source, "creation_timestamp": 5,
                "tags": [{"key": CARD_TAG, "value": digest}, {"key": SIGNATURE_TAG, "value": signature}]}  # fmt: skip

    async def api(self, request: Request) -> Response:
        if self.broken is not None:
            return self.broken
        given: Mapping[str, Any] = request.query_params
        if request.method == "POST":
            given = await request.json()
        path = request.path_params["path"]
        if path == "registered-models/get":
            aliases = [{"alias": alias, "version": version} for alias, version in self.aliases.items()]
            return JSONResponse({"registered_model": {"aliases": aliases}})
        if path == "model-versions/search":
            start = int(given.get("page_token", 0))
            page = {"model_versions": [self.entry(version) for version in self.versions[start : start + 2]]}
            more = {"next_page_token": str(start + 2)} if start + 2 < len(self.versions) else {}
            return JSONResponse({**page, **more})
        version = self.aliases.get(given["alias"]) if path == "registered-models/alias" else given["version"]
        if request.method == "POST":
            version = given["version"]
        if version not in self.versions:
            return JSONResponse(ABSENT, 404)
        if request.method == "POST":
            self.aliases[given["alias"]] = version
        return JSONResponse({"model_version": self.entry(version)})

    async def artifact(self, request: Request) -> Response:
        path = self.bundle / request.path_params["path"].removeprefix("1/run/artifacts/model/")
        return Response(path.read_bytes()) if path.is_file() else JSONResponse(ABSENT, 404)


@pytest.fixture
def mlflow(bundle: Path) -> Mlflow:
    return Mlflow(bundle)


@pytest.fixture
def registry(mlflow: Mlflow, serve: Callable[[Any], str]) -> Registry:
    routes = [Route("/api/2.0/mlflow/{path:path}", mlflow.api, methods=["GET", "POST"]),
              Route("/api/2.0/mlflow-artifacts/artifacts/{path:path}", mlflow.artifact)]  # fmt: skip
    return Registry(serve(Starlette(routes=routes)), "rain", KEY)


def test_aliases_name_versions(registry: Registry) -> None:
    assert registry.find("champion") is None
    with pytest.raises(NotFound, match="no version of rain is champion yet"):
        registry.require("champion")
    registry.point("champion", "3")
    assert registry.version_of("champion") == "3"
    with pytest.raises(InvalidInput, match="no version 77"):
        registry.point("champion", "77")
    with pytest.raises(InvalidInput, match="no version 77"):
        registry.get("77")


def test_all_versions_are_listed_newest_first_over_several_pages(registry: Registry) -> None:
    registry.point("champion", "2")
    registry.point("previous", "2")
    found = registry.versions()
    assert [entry.version for entry in found] == ["5", "4", "3", "2", "1"]
    assert [entry.aliases for entry in found if entry.aliases] == [("champion", "previous")]


def test_a_bundle_comes_whole_or_not_at_all(registry: Registry, mlflow: Mlflow, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    model = registry.load(registry.get("1"), tmp_path / "one")
    assert model.version == "1"
    assert model.digest == registry.get("1").digest
    published = registry.get("1")
    (mlflow.bundle / "model.onnx").unlink()
    with pytest.raises(UnusableModel, match=r"model.onnx cannot be had: 404"):
        registry.download(published, tmp_path / "one")
    (mlflow.bundle / CARD).write_text((mlflow.bundle / CARD).read_text() + " ")
    with pytest.raises(UnusableModel, match="its card is not signed with this system's key"):
        registry.download(published, tmp_path / "one")
    with pytest.raises(UnusableModel, match="its card is not the one that was registered"):
        registry.download(replace(published, tags={**registry.get("1").tags, CARD_TAG: "0" * 64}), tmp_path / "one")
    mlflow.source = "/home/somebody/model"
    with pytest.raises(UnusableModel, match="not behind MLflow"):
        registry.download(registry.get("1"), tmp_path / "one")


def test_a_registry_without_a_key_trusts_no_card(registry: Registry, tmp_path: Path) -> None:
    keyless = Registry(registry.uri, registry.name)
    with pytest.raises(ValueError, match="MODELS_SECRET"):
        keyless.download(keyless.get("1"), tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "bundle"]


@pytest.mark.parametrize(
    "answer",
    [JSONResponse({"error_code": "INTERNAL_ERROR"}, 500), PlainTextResponse("<html>", 503), JSONResponse([], 502)],
    ids=["500", "HTML", "list"],
)
def test_an_mlflow_that_fails_is_unavailable(registry: Registry, mlflow: Mlflow, answer: Response) -> None:
    mlflow.broken = answer
    for call in (lambda: registry.find("champion"), lambda: registry.get("1"), registry.versions):
        with pytest.raises(Unavailable):
            call()


ENTRY = {"version": "1", "source": "mlflow-artifacts:/1", "creation_timestamp": 5}


@pytest.mark.parametrize(
    "text",
    [
        "<html>", "", "null", "[]", "NaN", "7", '{"model_version": null}', '{"model_version": [1]}', "\xff", "[" * 9000,
        '{"registered_model": 3}', '{"registered_model": {"aliases": [{"alias": "champion"}]}}',
        '{"model_version": {}}',
        *(json.dumps({"model_version": {**ENTRY, **wrong}, "model_versions": [{**ENTRY, **wrong}]}) for wrong in (
            {"version": 1}, {"version": "one"}, {"source": None}, {"creation_timestamp": "x"}, {"tags": {"a": 1}},
            {"creation_timestamp": 10**30}, {"tags": [{"key": 1}]}, {"source": "mlflow-artifacts:/\n"},
        )),
    ],
)  # fmt: skip
def test_nonsense_of_mlflow_is_said_to_be(registry: Registry, mlflow: Mlflow, text: str) -> None:
    mlflow.broken = Response(text.encode("latin-1"), media_type="application/json")
    for call in (lambda: registry.find("champion"), lambda: registry.get("1"), registry.versions):
        with pytest.raises(UpstreamFailed, match="the model registry answered with"):
            call()


def test_pages_without_end_are_not_read_for_ever(registry: Registry, mlflow: Mlflow) -> None:
    page = {"registered_model": {}, "model_versions": [], "next_page_token": "again"}
    mlflow.broken = JSONResponse(page)
    with pytest.raises(UpstreamFailed, match="does not come to an end"):
        registry.versions()


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        Registry("http://127.0.0.1:9", "rain").find("champion")


def test_promotions_remember_what_served_before(registry: Registry, database: str) -> None:
    engine = connect(database)
    promotions = Promotions(registry, engine)
    with pytest.raises(Conflict, match="no previous version"):
        promotions.rollback()
    assert promotions.promote("1") is None
    assert promotions.promote("2", expected="1") == "1"
    assert (registry.version_of("champion"), registry.version_of("previous")) == ("2", "1")
    with pytest.raises(Conflict, match="the champion is version 2 by now, not 1"):
        promotions.promote("3", expected="1")
    assert promotions.promote("2") == "2"
    assert registry.version_of("previous") == "1"
    assert promotions.rollback() == ("2", "1")
    assert (registry.version_of("champion"), registry.version_of("previous")) == ("1", "2")
    engine.dispose()


@pytest.mark.parametrize("move", [Promotions.rollback, partial(Promotions.promote, version="3")])
def test_a_promotion_that_lost_its_lock_moves_nothing(
    registry: Registry, postgres: Callable[[], str], end_turn: Callable[[str], None], move: Callable[..., object]
) -> None:
    address = postgres()
    happening = [partial(end_turn, address)]

    class Interrupted(Registry):
        def version_of(self, alias: str) -> str | None:
            while happening:
                happening.pop()()
            return super().version_of(alias)

    interrupted = Interrupted(registry.uri, registry.name, registry.key)
    with connected(address) as engine:
        promotions = Promotions(registry, engine)
        promotions.promote("1")
        promotions.promote("2")
        with pytest.raises(Conflict, match="this promotion lost its lock"):
            move(Promotions(interrupted, engine))
        assert (registry.version_of("champion"), registry.version_of("previous")) == ("2", "1")
        assert promotions.promote("3") == "2"
