"""What training does at the command of `train.cli`: each function is one job and gives its summary."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from pydantic import ValidationError
from rich.console import Console

from meteo.errors import InvalidInput, Unavailable
from meteo.models.bundle import Model, try_out
from meteo.models.card import UnusableModel
from meteo.models.promotion import Promotions
from meteo.models.published import Published
from meteo.models.registry import Registry
from meteo.runtime.answers import parsed
from meteo.runtime.database import connect, connected, only_one
from meteo.runtime.service_tokens import Caller, ServiceTokens
from meteo.runtime.settings import Settings
from meteo.schemas.models import ModelCard
from meteo.schemas.problems import field_errors
from meteo.schemas.runs import TrainingRequest
from meteo.training_parameters import Params, checked
from train.dataset import Dataset
from train.fit import Recipe, fit
from train.housekeeping import clean
from train.promotion_gate import Limits, judge
from train.provenance import data_version, git_commit
from train.publish import publish, published_by, record_verdict
from train.search import Trial, search


def tidy(settings: Settings) -> dict[str, int]:
    """Remove them; how many. Conflict while somebody trains."""
    known = settings.retention
    with connected(settings.observations_url) as engine, only_one(engine, "training"):
        return clean(Registry.of(settings), settings.train.experiment, known.champions, known.challengers)


def train_challenger(settings: Settings, params: str, run: str) -> dict[str, Any]:
    try:
        asked = TrainingRequest.model_validate_json(params)
    except ValidationError as error:
        raise InvalidInput("; ".join(f"{name}: {text}" for name, text in field_errors(list(error.errors())))) from error
    kind = asked.model or settings.train.kind
    configured = settings.train.params if kind == settings.train.kind else {}
    recipe = recipe_of(settings, kind, {**configured, **checked(kind, asked.params or {})})
    registry = Registry.of(settings)
    with only_one(connect(settings.observations_url), "training"):
        if run and (known := published_by(registry, settings.train.experiment, run)):
            return {"model": registry.name, "version": known.version, "mlflow_run": known.run_id, "again": True}
        return _fitted(settings, recipe, registry, asked.search, run)


def publish_first(settings: Settings) -> dict[str, Any]:
    serving = Registry.of(settings).find("champion")
    if serving is not None and serving.signature:
        return {"champion": serving.version, "again": True}
    train_challenger(settings, "{}", "")
    verdict = judge_and_promote(settings, "")
    if not verdict["promoted"]:
        raise UnusableModel(f"the first model was not promoted: {verdict['reasons']}")
    return verdict


def _fitted(
    settings: Settings, recipe: Recipe, registry: Registry, trials_asked: int | None, run: str
) -> dict[str, Any]:
    kind = recipe.kind
    dataset = Dataset.read(settings.training_data)
    with Console(stderr=True).status("training") as status:
        progress: Callable[[str], None] = lambda text: status.update(f"training {kind}: {text}")  # noqa: E731
        trials: list[Trial] = []
        if trials_asked:
            best, trials = search(dataset, recipe, trials_asked, progress)
            recipe = replace(recipe, params=best)
        model = fit(dataset, recipe, data_version(settings.workspace), git_commit(), progress)
        progress("publishing")
        lock = settings.workspace / "dvc.lock"
        run_id, version = publish(model, dataset, registry, settings.train.experiment, lock, trials, run)
    return {
        "model": registry.name,
        "version": version,
        "kind": kind,
        "mlflow_run": run_id,
        "searched": len(trials),
        "data_version": model.card.data_version,
        "simulated": model.card.simulated,
        "metrics": model.card.metrics,
    }


def judge_and_promote(settings: Settings, run: str) -> dict[str, Any]:
    registry = Registry.of(settings)
    mine = published_by(registry, settings.train.experiment, run) if run else None
    proposed, serving = mine or registry.require("challenger"), registry.find("champion")
    if serving is not None and serving.version == proposed.version:
        return {"promoted": False, "champion": serving.version, "reasons": ["the challenger already is the champion"]}
    with TemporaryDirectory() as folder:
        challenger = registry.load(proposed, _subfolder(folder, "challenger"))
        try_out(Path(folder) / "challenger", proposed.version)
        champion, note = _earlier(registry, serving, _subfolder(folder, "champion"), "there was no champion")
        record = registry.find("best") or serving
        best, gone = _earlier(registry, record, _subfolder(folder, "best"), "")
    test = Dataset.read(settings.training_data).test
    limits = Limits(settings.train.ece_limit, settings.train.margin)
    verdict = judge(challenger, champion, test, limits, settings.train.seed, best)
    verdict = replace(verdict, notes=tuple(text for text in (note, gone, *verdict.notes) if text))
    if verdict.promote:
        Promotions(registry, connect(settings.observations_url)).promote(
            proposed.version, expected=serving.version if serving else None
        )
        registry.point("best", proposed.version if verdict.is_best or record is None else record.version)
    record_verdict(registry, proposed, verdict)
    return {
        "promoted": verdict.promote,
        "challenger": proposed.version,
        "reasons": verdict.reasons,
        "notes": verdict.notes,
        "champion": registry.version_of("champion"),
        "brier": {"challenger": verdict.challenger["brier"], "champion": (verdict.champion or {}).get("brier")},
        "brier_difference": verdict.brier_difference,
        "margin": limits.margin,
        "days": verdict.days,
        "best": registry.version_of("best"),
        "best_difference": verdict.best_difference,
        "worse_stations": verdict.worse_stations,
        "behaviour": verdict.behaviour,
    }


def _earlier(registry: Registry, version: Published | None, folder: Path, absent: str) -> tuple[Model | None, str]:
    """A version that served, to compare with; without it the reason why, of which `absent` is one."""
    if version is None:
        return None, absent
    try:
        return registry.load(version, folder), ""
    except UnusableModel as error:
        return None, f"version {version.version} was not compared with: {error.detail}"


def have_served(settings: Settings) -> dict[str, Any]:
    champion = Registry.of(settings).version_of("champion")
    secret = settings.secret(settings.service_secret, "METEO_SERVICE_SECRET")
    token = ServiceTokens(secret).issue(Caller("train", "admin", "train"))
    try:
        response = httpx.post(
            f"{settings.api_model.address}/reload",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"the model API at {settings.api_model.address} does not answer: {error}") from error
    if response.status_code != 200 or parsed("the model API", response.content, ModelCard).version != champion:
        raise Unavailable(
            f"the model API did not take version {champion}: {response.status_code} {response.text[:300]}"
        )
    return {"serving": champion}


def recipe_of(settings: Settings, kind: str, params: Params) -> Recipe:
    return Recipe(kind, params, settings.train.seed, settings.train.masked_share, settings.train.minimum_rows)


def _subfolder(parent: str, name: str) -> Path:
    folder = Path(parent) / name
    folder.mkdir()
    return folder
