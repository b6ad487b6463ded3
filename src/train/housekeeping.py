"""Which versions of the model stay, and which go with their runs."""

from collections.abc import Sequence

from mlflow import MlflowClient

from meteo.models.published import Published
from meteo.models.registry import Registry
from meteo.models.runs import remove, runs_of

PARENT = "mlflow.parentRunId"


def kept(versions: Sequence[Published], champions: int, challengers: int) -> list[Published]:
    """Of all versions, newest first: what an alias names, the newest champions and the best there ever was, which the
    gate compares with and rollbacks go to, and the newest of the others."""
    promoted = [version for version in versions if version.tags.get("gate") == "promoted"]
    others = [version for version in versions if version.tags.get("gate") != "promoted"]
    best = sorted(promoted, key=lambda version: float(version.tags.get("brier", "inf")))[:1]
    staying = {version.version for version in (*promoted[:champions], *best, *others[:challengers])}
    return [version for version in versions if version.aliases or version.version in staying]


def clean(registry: Registry, experiment: str, champions: int, challengers: int) -> dict[str, int]:
    """Remove the other versions, and all runs but those of the versions that stay and their trials; how many. Nobody
    may be training."""
    client = MlflowClient(registry.uri, registry.uri)
    versions = registry.versions()
    staying = kept(versions, champions, challengers)
    going = [version for version in versions if version not in staying]
    for version in going:
        client.delete_model_version(registry.name, version.version)
    needed = {version.run_id for version in staying}
    runs = [
        run
        for run in runs_of(client, experiment)
        if run.info.run_id not in needed and run.data.tags.get(PARENT) not in needed
    ]
    return {"model versions": len(going), "training runs": remove(client, registry.uri, runs)}
