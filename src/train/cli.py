"""`python -m train`: fit and publish a challenger; judge and promote it; have it served; backtest on history."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from meteo.archive.store import ObservationStore
from meteo.models.registry import Registry
from meteo.runtime import housekeeping as keeping
from meteo.runtime import job
from meteo.runtime.database import connect
from meteo.runtime.settings import Settings
from train.backtest import STEPS, Neighbours, backtest
from train.jobs import have_served, judge_and_promote, publish_first, recipe_of, tidy, train_challenger
from train.plots import draw
from train.smoke import ask_about_stored_days

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


AskedRun = Annotated[
    str, typer.Option(help="the pipeline run that asks: tried again, it goes on with what it published already")
]


@app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    params: Annotated[
        str, typer.Option(help='JSON object {"model"?, "params"?}, as the training DAG passes it')
    ] = "{}",
    run: AskedRun = "",
) -> None:
    """Fit a model on the preprocessed data and publish it as the challenger; prints one JSON summary last."""
    if context.invoked_subcommand is None:
        settings = Settings()
        job.run("train", settings, lambda: train_challenger(settings, params, run))


@app.command()
def promote(run: AskedRun = "") -> None:
    """Judge the challenger against the champion on the holdout, and promote it if it is no worse."""
    settings = Settings()
    job.run("promote", settings, lambda: judge_and_promote(settings, run))


@app.command()
def first() -> None:
    """Publish and promote a first model where none serves, or one without a signature; fails when it is not fit to
    serve."""
    settings = Settings()
    job.run("train", settings, lambda: publish_first(settings))


@app.command()
def smoke() -> None:
    """Ask the model API about stored days and compare its answers with the champion's own."""
    settings = Settings()
    job.run("smoke", settings, lambda: ask_about_stored_days(settings, Registry.of(settings)))


@app.command()
def reload() -> None:
    """Have the model API load the champion; fails unless it then serves it."""
    settings = Settings()
    job.run("reload", settings, lambda: have_served(settings))


@app.command()
def housekeeping() -> None:
    """Remove model versions and runs that nobody needs any more; prints one JSON summary last."""
    settings = Settings()
    keeping.run("train", settings, lambda: tidy(settings))


Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]


@app.command("backtest")
def run_backtest(
    train_end: Day,
    test_start: Day,
    test_end: Day,
    train_start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="by default the oldest day")
    ] = None,
    fields: Annotated[str, typer.Option(help="comma-separated: what the test rows are given; default all")] = "",
    neighbours: Annotated[
        Neighbours, typer.Option(help="as stored, likewise given those fields only, or none")
    ] = "stored",
    without: Annotated[str, typer.Option(help="comma-separated groups of features that nobody knows")] = "",
    plots: Annotated[Path | None, typer.Option(help="folder for the plots")] = None,
    report: Annotated[Path, typer.Option(help="where the scores are written")] = Path("reports/backtest.json"),
) -> None:
    """Train on the store's days up to --train-end, score --test-start..--test-end; touches no registry."""

    def work(settings: Settings) -> dict[str, Any]:
        scores = _backtest(
            settings,
            (train_end, test_start, test_end),
            fields.split(",") if fields else None,
            neighbours,
            without.split(",") if without else (),
            train_start,
        )
        if plots is not None:
            draw(scores, plots)
        _write(report, scores)
        return {"report": str(report), "model": scores["model"], "baselines": scores["baselines"]}

    settings = Settings()
    job.run("backtest", settings, lambda: work(settings))


@app.command()
def ablation(
    train_end: Day,
    test_start: Day,
    test_end: Day,
    report: Annotated[Path, typer.Option(help="where the scores are written")] = Path("reports/ablation.json"),
) -> None:
    """Backtest with ever fewer groups of features: what each group brings."""

    def work(settings: Settings) -> dict[str, Any]:
        period = (train_end, test_start, test_end)
        steps = [
            {"without": hidden, **_backtest(settings, period, None, "stored", hidden, None)["model"]}
            for hidden in STEPS
        ]
        _write(report, {"steps": steps})
        return {"report": str(report), "auc": [step["auc"] for step in steps]}

    settings = Settings()
    job.run("ablation", settings, lambda: work(settings))


def _backtest(
    settings: Settings,
    period: tuple[datetime, datetime, datetime],
    fields: list[str] | None,
    neighbours: Neighbours,
    without: Sequence[str],
    train_start: datetime | None,
) -> dict[str, Any]:
    observations = ObservationStore(connect(settings.observations_url)).window()
    recipe = recipe_of(settings, settings.train.kind, settings.train.params)
    train_end, test_start, test_end = (given.date() for given in period)
    hidden = f" without {', '.join(without)}" if without else ""
    with Console(stderr=True).status("backtest") as status:
        return backtest(
            observations,
            train_end,
            test_start,
            test_end,
            fields,
            recipe,
            lambda text: status.update(f"backtest{hidden}: {text}"),
            neighbours,
            without,
            train_start.date() if train_start else None,
        )


def _write(report: Path, found: dict[str, Any]) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
