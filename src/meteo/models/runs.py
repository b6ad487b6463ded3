"""Runs at MLflow that nobody needs any more, and the files they left."""

from collections.abc import Iterable
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository


def runs_of(client: MlflowClient, experiment: str) -> list[Run]:
    """All runs of an experiment, newest first; none where there is no such experiment."""
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return []
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [known.experiment_id], max_results=1000, page_token=token, order_by=["attributes.start_time DESC"]
        )
        runs += page
        if not (token := page.token):
            return runs


def remove(client: MlflowClient, uri: str, runs: Iterable[Run]) -> int:
    """Remove runs with their files; how many. The files go first: a run whose removal broke off is still found."""
    count = 0
    for run in runs:
        files: Any = get_artifact_repository(run.info.artifact_uri, tracking_uri=uri)
        files.delete_artifacts()
        client.delete_run(run.info.run_id)
        count += 1
    return count
