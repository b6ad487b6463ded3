"""`python -m monitoring`: join served predictions with what fell and record how good they were."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import typer
from mlflow import MlflowClient

from meteo import job
from meteo.database import connect
from meteo.prediction_log import PredictionLog, records
from meteo.quality import Quality, quality
from meteo.registry import Registry
from meteo.settings import Settings
from meteo.store import ObservationStore
from monitoring.decision import decide

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def monitor() -> None:
    """Score the served predictions whose outcome is known; prints one JSON summary as its last line."""
    settings = Settings()
    job.run("monitoring", settings.log_level, lambda: _run(settings))


def _run(settings: Settings) -> dict[str, Any]:
    engine = connect(settings.predictions_url)
    PredictionLog(engine).create()
    served = records(engine)
    store = ObservationStore(connect(settings.observations_url))
    store.create()
    oldest = min((record.day for record in served), default=None)
    fell = store.window(oldest) if served else store.window(stations=[])
    minimum = settings.monitoring.minimum_outcomes
    found = quality(served, fell, minimum)
    champion = Registry(settings.mlflow.address, settings.train.model_name).find("champion")
    made = datetime.fromtimestamp(champion.created_at_ms / 1000, UTC) if champion else None
    retrain = decide(served, fell, champion.version if champion else None, made, datetime.now(UTC), minimum,
                     settings.monitoring.cooldown_days)  # fmt: skip
    run = _publish(MlflowClient(settings.mlflow.address), settings.monitoring.experiment, found)
    return {"mlflow_run": run, "predictions": len(served), "quality": [asdict(scores) for scores in found],
            "retrain": asdict(retrain)}  # fmt: skip


def _publish(client: MlflowClient, experiment: str, found: list[Quality]) -> str:
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known else client.create_experiment(experiment)
    run: str = client.create_run(experiment_id, run_name=f"{datetime.now(UTC):%Y-%m-%d %H:%M}").info.run_id
    client.log_dict(run, {"quality": [asdict(scores) for scores in found]}, "quality.json")
    for scores in found:
        client.log_metric(run, f"version_{scores.model_version}.outcomes", scores.outcomes)
        if scores.brier is not None:
            client.log_metric(run, f"version_{scores.model_version}.brier", scores.brier)
    client.set_terminated(run)
    return run


if __name__ == "__main__":
    app()
