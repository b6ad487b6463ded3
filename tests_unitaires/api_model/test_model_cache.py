"""What may happen to a model between the registry and the service, on real files."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api_model.model_cache import ModelCache
from api_model.neighbour_cache import Neighbours
from api_model.predictor import Predictor
from meteo.archive.store import ObservationStore
from meteo.errors import MeteoError
from meteo.models.card import CARD, CLIMATE, GOLDEN, GRAPH, UnusableModel
from meteo.models.explanations import BOOSTER


@pytest.fixture
def shelf(folders: Any, tmp_path: Path) -> ModelCache:
    """Version 1 was tried before."""
    shutil.copytree(folders.folders["1"], tmp_path / "models" / f"1-{folders.get('1').digest[:16]}")
    return ModelCache(folders, tmp_path / "models")


@pytest.fixture
def predictor(shelf: ModelCache, store: ObservationStore) -> Predictor:
    found = Predictor(shelf, Neighbours(store))
    found.reload()
    return found


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_schema(path: Path) -> None:
    path.write_text(path.read_text().replace('"humidity_3pm"', '"humidity_6pm"'))


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        *((name, damage, "is not the file that was published")
          for name in (GRAPH, BOOSTER, CLIMATE, GOLDEN) for damage in (cut, flip)),
        (GRAPH, Path.unlink, "cannot be had: 404"),
        (CARD, Path.unlink, "cannot be had|No such file"),
        (CARD, cut, "cannot be read"),
        (CARD, other_schema, "made for other features"),
    ],
)  # fmt: skip
def test_a_damaged_version_is_refused_and_the_old_one_serves_on(
    predictor: Predictor, folders: Any, shelf: ModelCache, name: str, damage: Callable[[Path], None], reason: str
) -> None:
    if damage is Path.unlink and name == CARD:
        folders.digests["2"] = "0" * 64
    damage(folders.folders["2"] / name)
    folders.point("champion", "2")
    with pytest.raises(UnusableModel, match=reason):
        predictor.reload()
    assert predictor.model.version == "1"
    assert predictor.problem is not None
    last = shelf.last()
    assert last is not None
    assert last.version == "1"


def test_a_card_that_was_exchanged_is_not_the_registered_one(predictor: Predictor, folders: Any) -> None:
    folders.digests["2"] = "0" * 64
    folders.point("champion", "2")
    with pytest.raises(UnusableModel, match="its card is not the one that was registered"):
        predictor.reload()


@pytest.mark.parametrize("signature", ["", "of another card", "of another key", "\u00e9"])
@pytest.mark.parametrize("kept", [False, True], ids=["fetched", "kept"])
def test_a_card_that_the_publisher_did_not_sign_is_refused_and_the_old_one_serves_on(
    predictor: Predictor, folders: Any, shelf: ModelCache, tmp_path: Path, signature: str, kept: bool
) -> None:
    """Whoever can write to MLflow alone: a better-looking card with digests that fit, and what they can find to sign
    it with."""
    signed = folders.get("1").signature
    card = folders.folders["2"] / CARD
    card.write_text(card.read_text().replace('"brier":0.1', '"brier":0.01').replace('"brier": 0.1', '"brier": 0.01'))
    if kept:
        shutil.copytree(folders.folders["2"], tmp_path / "models" / f"2-{folders.get('2').digest[:16]}")
    others = {"of another card": signed, "of another key": replace(folders, key="x" * 40).sign(card.read_bytes())}
    folders.signatures["2"] = others.get(signature, signature)
    folders.point("champion", "2")
    with pytest.raises(UnusableModel, match=r"version 2: its card is not signed.* train anew"):
        predictor.reload()
    assert predictor.model.version == "1"
    assert "its card is not signed" in (predictor.problem or "")
    assert (shelf.last() or predictor.model).version == "1"
    del folders.signatures["2"]
    assert predictor.reload().version == "2"


def reseal(folder: Path, name: str, content: bytes) -> None:
    """Exchange a file and its digest, as only a faulty publication could."""
    import hashlib

    (folder / name).write_bytes(content)
    card = json.loads((folder / CARD).read_text())
    card["digests"][name] = hashlib.sha256(content).hexdigest()
    (folder / CARD).write_text(json.dumps(card))


def test_a_model_that_finds_other_log_odds_than_at_its_publication_never_serves(
    predictor: Predictor, folders: Any
) -> None:
    golden = json.loads((folders.folders["2"] / GOLDEN).read_text())
    golden["margin"][0] += 0.5
    reseal(folders.folders["2"], GOLDEN, json.dumps(golden).encode())
    folders.point("champion", "2")
    with pytest.raises(UnusableModel, match="failed when tried: golden rows give"):
        predictor.reload()
    assert predictor.model.version == "1"


def test_a_graph_that_no_runtime_can_read_only_ends_the_process_that_tries_it(
    predictor: Predictor, folders: Any
) -> None:
    reseal(folders.folders["2"], GRAPH, b"\x08\x08" + b"\xff" * 300)
    folders.point("champion", "2")
    with pytest.raises(UnusableModel, match="failed when tried"):
        predictor.reload()
    assert predictor.model.version == "1"


def test_a_kept_model_that_was_damaged_on_disk_is_fetched_anew(
    predictor: Predictor, folders: Any, shelf: ModelCache, store: ObservationStore, tmp_path: Path
) -> None:
    (place,) = (tmp_path / "models").glob("1-*")
    flip(place / GRAPH)
    assert shelf.last() is None
    again = Predictor(shelf, Neighbours(store))
    again.resume()
    assert not again.loaded
    assert again.reload().version == "1"
    flip(place / GRAPH)
    folders.faults.append("away")
    final = Predictor(shelf, Neighbours(store))
    final.resume()
    with pytest.raises(MeteoError):
        final.reload()
    assert not final.loaded


def test_only_a_few_models_are_kept_and_what_serves_is_among_them(
    predictor: Predictor, folders: Any, shelf: ModelCache, tmp_path: Path
) -> None:
    for version in "3456":
        folders.folders[version] = folders.folders["2"]
    for version in "2345":
        place = tmp_path / "models" / f"{version}-{folders.get(version).digest[:16]}"
        shutil.copytree(folders.folders[version], place)
    predictor.chosen("6")
    kept = {path.name.partition("-")[0] for path in (tmp_path / "models").glob("*-*")}
    assert {"1", "6"} <= kept
    assert len(kept) in (4, 5)
