"""`python -m monitoring`: how good served forecasts were, and whether the readings still are what they used to be."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from mlflow import MlflowClient
from pydantic import FiniteFloat
from rich.console import Console
from rich.progress import track
from rich.table import Table

from meteo.archive.store import ObservationStore
from meteo.errors import NotEnoughData
from meteo.forecasts.daily_forecasts import forecasts, forget, forget_days
from meteo.forecasts.live_quality import NOT_ENOUGH, Quality, climatologies, quality
from meteo.forecasts.prediction_log import PredictionLog, newest_inputs
from meteo.models.registry import MLFLOW, Registry
from meteo.models.runs import remove, runs_of
from meteo.observation import Observations
from meteo.runtime import housekeeping as keeping
from meteo.runtime import job
from meteo.runtime.answers import checked
from meteo.runtime.database import connect, connected
from meteo.runtime.job_metrics import Reading
from meteo.runtime.settings import Settings
from monitoring import drift_backtest as replay
from monitoring.drift import WINDOW, Watch
from monitoring.retraining import Champion, decide
from monitoring.spatial_residuals import Panel
from monitoring.summary import Drift, find

DRIFT_FILE = "drift.json"
REPORTS = {"observations": "drift_observations.html", "served": "drift_served.html"}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]


@app.callback(invoke_without_command=True)
def monitor(context: typer.Context) -> None:
    """Score the served predictions whose outcome is known and look for drift; prints one JSON summary last."""
    if context.invoked_subcommand is None:
        settings = Settings()
        job.run("monitoring", settings, lambda: _run(settings), _readings)


@app.command()
def housekeeping() -> None:
    """Remove predictions that are too old, keeping their sums, and old reports; prints one JSON summary last."""
    settings = Settings()
    keeping.run("monitoring", settings, lambda: clean(settings, datetime.now(UTC)))


@app.command()
def backtest(
    reference_end: Day = datetime(2013, 12, 31, tzinfo=UTC),
    calibration_end: Day = datetime(2015, 12, 31, tzinfo=UTC),
    trials: Annotated[int, typer.Option(min=1, help="injections of each fault")] = 200,
    seed: int = 0,
) -> None:
    """Replay the stored history day by day: false alarms in quiet times, and how soon injected faults are seen.

    What is before `reference-end` teaches; thresholds were chosen by the days up to `calibration-end` and are tried on
    those after it, where the faults are put in too.
    """
    settings = Settings()
    ends = [np.datetime64(end.date(), "D") for end in (reference_end, calibration_end)]
    job.run("drift backtest", settings, lambda: _replay(settings, ends[0], ends[1], trials, seed))


def _run(settings: Settings) -> dict[str, Any]:
    engine = connect(settings.predictions_url)
    PredictionLog(engine).create()
    store = _store(settings)
    observations = store.window()
    newest: date = observations.day.max().item() if len(observations) else datetime.now(UTC).date()
    week = newest - timedelta(days=WINDOW - 1)
    since = min(datetime.now(UTC).date() - timedelta(days=settings.monitoring.period_days), week)
    foretold = forecasts(engine, store, since, None)
    minimum = settings.monitoring.minimum_outcomes
    registry = Registry.of(settings)
    measured = quality(foretold, minimum, registry.climate)
    retrain = decide(foretold, champion_of(registry), datetime.now(UTC), minimum, settings.monitoring.cooldown_days)
    drift = find(observations, newest_inputs(engine, week, newest))
    client = MlflowClient(settings.mlflow.address)
    run = _publish(client, settings.monitoring.experiment, measured, drift, settings.monitoring.page_days)
    return {
        "mlflow_run": run,
        "forecasts": int(foretold.n.sum()),
        "quality": [asdict(scores) for scores in measured],
        "drift": drift.summary(),
        "retrain": asdict(retrain),
    }


def clean(settings: Settings, now: datetime) -> dict[str, int]:
    """Remove what is too old at an instant; how much of each."""
    known, client = settings.retention, MlflowClient(settings.mlflow.address)
    old_runs = runs_of(client, settings.monitoring.experiment)[known.monitoring_runs :]
    with connected(settings.predictions_url) as log, connected(settings.observations_url) as observations:
        PredictionLog(log).create()
        store = ObservationStore(observations)
        store.create()
        return {
            "predictions": forget(log, store, now - timedelta(days=known.predictions_days)),
            "forecast sums": forget_days(log, (now - timedelta(days=known.forecast_sums_days)).date()),
            "monitoring runs": remove(client, settings.mlflow.address, old_runs),
            "Airflow logs": keeping.remove_files(
                settings.home / "airflow" / "logs", now - timedelta(days=known.airflow_days)
            ),
        }


def champion_of(registry: Registry) -> Champion | None:
    """What serves, and what was promised of it; UpstreamFailed where that is no figure."""
    champion = registry.find("champion")
    if champion is None:
        return None
    promised = champion.tags.get("brier_skill")
    return Champion(
        champion.version,
        datetime.fromtimestamp(champion.created_at_ms / 1000, UTC),
        climatologies([champion.version], registry.climate).get(champion.version),
        None if promised is None else checked(MLFLOW, promised, FiniteFloat),
    )


def _store(settings: Settings) -> ObservationStore:
    store = ObservationStore(connect(settings.observations_url))
    store.create()
    return store


def _readings(summary: job.Summary) -> Iterable[Reading]:
    """The summary's figures for Prometheus."""
    for scores in summary["quality"]:
        version = {"version": scores["model_version"]}
        yield Reading("meteo_live_outcomes", "Served predictions with a known outcome", scores["outcomes"], version)
        for name in ("brier", "brier_low", "brier_high", "expected_brier", "skill", "roc_auc"):
            if scores[name] is not None:
                yield Reading(f"meteo_live_{name}", f"Live {name} of served predictions", scores[name], version)
    for side in REPORTS:
        drift = summary["drift"][side]
        yield Reading(
            "meteo_drift_share", "Share of fields whose distribution is not the season's", drift["share"], {"of": side}
        )
        yield Reading("meteo_drift_alarms", "Drift alarms of the newest day", len(drift["alarms"]), {"of": side})
        for alarm in drift["alarms"]:
            labels = {"of": side, **{name: str(alarm[name]) for name in ("station", "channel", "kind", "since")}}
            yield Reading(
                "meteo_drift_alarm",
                "A drift alarm: how many times its threshold",
                alarm["statistic"] / alarm["threshold"],
                labels,
            )
    yield Reading(
        "meteo_drift_known",
        "Whether there was enough data to look for drift",
        float(summary["drift"]["verdict"] != NOT_ENOUGH),
    )


def _publish(client: MlflowClient, experiment: str, found: list[Quality], drift: Drift, page_days: int) -> str:
    """A run of the experiment: figures, the summaries, and Evidently's pages where something drifted or the day is one
    of those that have them."""
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known else client.create_experiment(experiment)
    tags = {"drift": drift.verdict} | ({"day": drift.day.isoformat()} if drift.day else {})
    run: str = client.create_run(experiment_id, run_name=f"{datetime.now(UTC):%Y-%m-%d %H:%M}", tags=tags).info.run_id
    client.log_dict(run, {"quality": [asdict(scores) for scores in found]}, "quality.json")
    client.log_text(run, json.dumps(drift.summary(), default=str), DRIFT_FILE)
    with tempfile.TemporaryDirectory() as folder:
        for of, name in REPORTS.items():
            side = getattr(drift, of)
            client.log_metric(run, f"drift.{of}.alarms", len(side.alarms))
            client.log_metric(run, f"drift.{of}.share", side.share)
            if drift.has_page(side, page_days) and (page := side.page()):
                (Path(folder) / name).write_text(page, encoding="utf-8")
                client.log_artifact(run, str(Path(folder) / name))
    for scores in found:
        client.log_metric(run, f"version_{scores.model_version}.outcomes", scores.outcomes)
        if scores.brier is not None:
            client.log_metric(run, f"version_{scores.model_version}.brier", scores.brier)
    client.set_terminated(run)
    return run


def _replay(
    settings: Settings, reference_end: np.datetime64, calibration_end: np.datetime64, trials: int, seed: int
) -> dict[str, Any]:
    panel = Panel.of(_enough(_store(settings).window(), calibration_end))
    split = int((reference_end - panel.first).astype(int)) + 1
    watch = Watch(panel[:split])
    day = np.timedelta64(1, "D")
    periods = {"calibration": (reference_end + day, calibration_end), "trial": (calibration_end + day, panel.days[-1])}
    calm = {name: replay.quiet(watch, panel, *period) for name, period in periods.items()}
    table = Table("quiet history", "days", "alarms", "per 90 days", "fields gone")
    for name, of in calm.items():
        table.add_row(name, str(of.days), str(of.alarms), f"{of.per_90_days:.2f}", str(of.outages))
    Console(stderr=True).print(table)
    work = replay.detections(watch, panel, calibration_end + day, trials, seed)
    seen = list(track(work, "injecting faults", len(replay.FAULTS), console=Console(stderr=True)))
    table = Table("injected fault", "trials", "seen within 7 days", "median day", "missed most at")
    for found in seen:
        missed = ", ".join(f"{name} {count}" for name, count in list(found.missed.items())[:4])
        table.add_row(found.fault, str(found.trials), f"{found.rate:.0%}", f"{found.median_delay}", missed)
    Console(stderr=True).print(table)
    return {
        "quiet": {name: {**asdict(of), "per_90_days": round(of.per_90_days, 2)} for name, of in calm.items()},
        "detected": [{**asdict(found), "rate": round(found.rate, 3)} for found in seen],
    }


def _enough(observations: Observations, calibration_end: np.datetime64) -> Observations:
    if not len(observations) or observations.day.max() <= calibration_end:
        raise NotEnoughData(f"there must be observations after calibration-end, {calibration_end}")
    return observations


if __name__ == "__main__":
    app()
