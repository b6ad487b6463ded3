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
from rich.console import Console
from rich.progress import track
from rich.table import Table

from meteo import job
from meteo.database import connect
from meteo.errors import NotEnoughData
from meteo.metrics import Reading
from meteo.observation import Observations
from meteo.prediction_log import PredictionLog, forget, records
from meteo.quality import NOT_ENOUGH, Quality, forecasts, quality
from meteo.registry import Registry
from meteo.settings import Settings
from meteo.store import ObservationStore
from monitoring import backtest as replay
from monitoring.decision import Champion, decide
from monitoring.departures import Panel
from monitoring.drift import WINDOW, Watch
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
    keep = settings.monitoring.keep_days
    forgotten = forget(engine, datetime.now(UTC) - timedelta(days=keep)) if keep else 0
    store = _store(settings)
    observations = store.window()
    served = records(engine, _since(observations, settings.monitoring.period_days))
    foretold = forecasts(served, store)
    minimum, wet = settings.monitoring.minimum_outcomes, store.wet_days()
    found = quality(foretold, observations, minimum, wet)
    retrain = decide(foretold, observations, wet, _champion(settings), datetime.now(UTC), minimum,
                     settings.monitoring.cooldown_days)  # fmt: skip
    drift = find(observations, served)
    run = _publish(MlflowClient(settings.mlflow.address), settings.monitoring.experiment, found, drift)
    return {
        "mlflow_run": run, "predictions": len(served), "forecasts": len(foretold), "forgotten": forgotten,
        "quality": [asdict(scores) for scores in found], "drift": drift.summary(), "retrain": asdict(retrain),
    }  # fmt: skip


def _since(observations: Observations, period_days: int) -> date:
    """From which day on predictions are looked at: the period, and in any case the newest week that is stored."""
    start = datetime.now(UTC).date() - timedelta(days=period_days)
    if not len(observations):
        return start
    newest: date = observations.day.max().item()
    return min(start, newest - timedelta(days=WINDOW))


def _champion(settings: Settings) -> Champion | None:
    found = Registry(settings.mlflow.address, settings.train.model_name).find("champion")
    if found is None:
        return None
    return Champion.of(found.version, datetime.fromtimestamp(found.created_at_ms / 1000, UTC), found.tags)


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
        found = summary["drift"][side]
        yield Reading("meteo_drift_share", "Share of fields whose distribution is not the season's", found["share"],
                      {"of": side})  # fmt: skip
        yield Reading("meteo_drift_alarms", "Drift alarms of the newest day", len(found["alarms"]), {"of": side})
        for alarm in found["alarms"]:
            labels = {"of": side, **{name: str(alarm[name]) for name in ("station", "channel", "kind", "since")}}
            yield Reading("meteo_drift_alarm", "A drift alarm: how many times its threshold",
                          alarm["statistic"] / alarm["threshold"], labels)  # fmt: skip
    yield Reading("meteo_drift_known", "Whether there was enough data to look for drift",
                  float(summary["drift"]["verdict"] != NOT_ENOUGH))  # fmt: skip


def _publish(client: MlflowClient, experiment: str, found: list[Quality], drift: Drift) -> str:
    """A run of the experiment: figures, the summaries, and Evidently's pages."""
    known = client.get_experiment_by_name(experiment)
    experiment_id = known.experiment_id if known else client.create_experiment(experiment)
    tags = {"drift": drift.verdict} | ({"day": drift.day.isoformat()} if drift.day else {})
    run: str = client.create_run(experiment_id, run_name=f"{datetime.now(UTC):%Y-%m-%d %H:%M}", tags=tags).info.run_id
    client.log_dict(run, {"quality": [asdict(scores) for scores in found]}, "quality.json")
    client.log_text(run, json.dumps(drift.summary(), default=str), DRIFT_FILE)
    with tempfile.TemporaryDirectory() as folder:
        for side, name in REPORTS.items():
            drawn = getattr(drift, side).drawn
            client.log_metric(run, f"drift.{side}.alarms", len(getattr(drift, side).alarms))
            client.log_metric(run, f"drift.{side}.share", getattr(drift, side).share)
            if drawn:
                (Path(folder) / name).write_text(drawn.html, encoding="utf-8")
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
