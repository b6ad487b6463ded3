"""Published models: which there are, which serves, and how that is changed."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import FiniteFloat

from api_model.dependencies import CurrentAdmin, CurrentCaller, Wired
from api_model.serving import public_card
from meteo.http.routing import Route
from meteo.models.published import Published
from meteo.models.registry import MLFLOW
from meteo.runtime.answers import checked
from meteo.schemas.models import Champion, ModelVersion, Promotion

router = APIRouter(route_class=Route)
Version = Annotated[str, Path(pattern="^[0-9]{1,9}$")]
_METRICS = (
    "roc_auc", "pr_auc", "brier", "brier_skill", "log_loss", "ece", "n", "base_rate", "accuracy", "precision", "recall",
    "f1",
)  # fmt: skip


@router.get("/model")
async def model(_: CurrentCaller, wired: Wired) -> dict[str, Any]:
    return wired.serving.card()


@router.get("/models")
async def models(_: CurrentCaller, wired: Wired) -> list[ModelVersion]:
    return [_version(entry) for entry in await wired.serving.in_turn(wired.serving.registry.versions)]


@router.get("/models/{version}")
async def model_card(version: Version, _: CurrentCaller, wired: Wired) -> dict[str, Any]:
    chosen = await wired.serving.in_turn(wired.serving.predictor.chosen, version)
    return {"name": wired.serving.registry.name, "version": version, **public_card(chosen)}


@router.post("/models/{version}/promote")
async def promote(version: Version, _: CurrentAdmin, wired: Wired, asked: Promotion) -> Champion:
    return await wired.serving.in_turn(wired.serving.promote, version, asked.expected)


@router.post("/models/rollback")
async def rollback(_: CurrentAdmin, wired: Wired) -> Champion:
    return await wired.serving.in_turn(wired.serving.rollback)


@router.post("/reload")
async def reload(_: CurrentCaller, wired: Wired) -> dict[str, Any]:
    await wired.serving.in_turn(wired.serving.reload)
    return wired.serving.card()


@router.get("/state")
def state(_: CurrentCaller, wired: Wired) -> dict[str, Any]:
    predictor = wired.serving.predictor
    version = predictor.model.version if predictor.loaded else None
    return {"model_version": version, "model_problem": predictor.problem, "simulated": wired.store.simulated()}


def _version(entry: Published) -> ModelVersion:
    metrics = {name: entry.tags[name] for name in _METRICS if name in entry.tags}
    return ModelVersion(
        version=entry.version,
        aliases=list(entry.aliases),
        kind=entry.tags.get("kind", ""),
        created_at=datetime.fromtimestamp(entry.created_at_ms / 1000, UTC),
        data_version=entry.tags.get("data_version", ""),
        git_commit=entry.tags.get("git_commit", ""),
        simulated=entry.tags.get("simulated") == "true",
        metrics=checked(MLFLOW, metrics, dict[str, FiniteFloat]),
        gate=entry.tags.get("gate"),
        gate_reasons=entry.tags.get("gate_reasons"),
    )
