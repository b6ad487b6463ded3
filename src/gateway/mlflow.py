"""The model registry as MLflow's REST API tells of it."""

from typing import Any

from pydantic import BaseModel

from gateway.upstream import Upstream
from meteo.errors import UpstreamFailed

_METRICS = ("roc_auc", "pr_auc", "brier", "log_loss", "ece", "n", "base_rate")


class ModelVersion(BaseModel):
    """A published version and how it did on its holdout."""

    version: str
    aliases: list[str]
    kind: str
    created_at_ms: int
    data_version: str
    git_commit: str
    simulated: bool
    metrics: dict[str, float]


class Mlflow:
    def __init__(self, upstream: Upstream, model_name: str) -> None:
        self._upstream = upstream
        self._name = model_name

    async def healthy(self) -> str | None:
        """What is wrong, or None."""
        answer = await self._upstream.call("GET", "health")
        return None if answer.status_code == 200 else f"answered {answer.status_code}"

    async def versions(self) -> list[ModelVersion]:
        """Published versions, newest first."""
        model = await self._get("registered-models", "get", name=self._name)
        if model is None:
            return []
        aliases = model["registered_model"].get("aliases", [])
        found = await self._get("model-versions", "search", filter=f"name='{self._name}'", max_results="200")
        versions = [_version(entry, aliases) for entry in (found or {}).get("model_versions", [])]
        return sorted(versions, key=lambda entry: int(entry.version), reverse=True)

    async def _get(self, *path: str, **params: str) -> dict[str, Any] | None:
        answer = await self._upstream.call("GET", "api", "2.0", "mlflow", *path, params=params)
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise UpstreamFailed(f"{self._upstream.name} answered {answer.status_code}")
        body: dict[str, Any] = answer.json()
        return body


def _version(entry: dict[str, Any], aliases: list[dict[str, str]]) -> ModelVersion:
    tags = {tag["key"]: tag["value"] for tag in entry.get("tags", [])}
    return ModelVersion(
        version=entry["version"],
        aliases=[alias["alias"] for alias in aliases if alias["version"] == entry["version"]],
        kind=tags.get("kind", ""),
        created_at_ms=int(entry["creation_timestamp"]),
        data_version=tags.get("data_version", ""),
        git_commit=tags.get("git_commit", ""),
        simulated=tags.get("simulated") == "true",
        metrics={name: float(tags[name]) for name in _METRICS if name in tags},
    )
