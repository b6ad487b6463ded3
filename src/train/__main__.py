"""`python -m train`: fit and publish a challenger; judge and promote it; have it served; backtest on history."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import typer
import yaml
from pydantic import ValidationError
from rich.console import Console

from meteo import job
from meteo.auth import Caller, ServiceTokens
from meteo.contract import TrainingRequest, field_errors
from meteo.database import connect, only_one
from meteo.errors import InvalidInput, Unavailable
from meteo.model import UnusableModel, try_out
from meteo.registry import Promotions, Registry
from meteo.settings import Settings, config_file
from meteo.store import ObservationStore
from train.backtest import STEPS, Neighbours, backtest
from train.dataset import Dataset
from train.fit import Recipe, fit
from train.gate import judge
from train.models import Params
from train.plots import draw
from train.publish import publish, published_by, record_verdict
from train.search import Trial, search
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
        job.run("train", settings, lambda: _train(settings, params, run))


@app.command()
def promote(run: AskedRun = "") -> None:
    """Judge the challenger against the champion on the holdout, and promote it if it is no worse."""
    settings = Settings()
    job.run("promote", settings, lambda: _promote(settings, run))


@app.command()
def first() -> None:
    """Publish and promote a first model where none serves; fails when it is not fit to serve."""
    settings = Settings()
    job.run("train", settings, lambda: _first(settings))


@app.command()
def smoke() -> None:
    """Ask the model API about stored days and compare its answers with the champion's own."""
    settings = Settings()
    job.run("smoke", settings, lambda: ask_about_stored_days(settings, _registry(settings)))


@app.command()
def reload() -> None:
    """Have the model API load the champion; fails unless it then serves it."""
    settings = Settings()
    job.run("reload", settings, lambda: _reload(settings))


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
            settings, (train_end, test_start, test_end), fields.split(",") if fields else None, neighbours,
            without.split(",") if without else (), train_start,
        )  # fmt: skip
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


def _train(settings: Settings, params: str, run: str) -> dict[str, Any]:
    try:
        asked = TrainingRequest.model_validate_json(params)
    except ValidationError as error:
        raise InvalidInput("; ".join(f"{name}: {text}" for name, text in field_errors(list(error.errors())))) from error
    kind = asked.model or settings.train.kind
    configured = settings.train.params if kind == settings.train.kind else {}
    recipe = _recipe(settings, kind, {**configured, **(asked.params or {})})
    registry = _registry(settings)
    with only_one(connect(settings.observations_url), "training"):
        if run and (known := published_by(registry, settings.train.experiment, run)):
            return {"model": registry.name, "version": known.version, "mlflow_run": known.run_id, "again": True}
        return _fitted(settings, recipe, registry, asked.search, run)


def _first(settings: Settings) -> dict[str, Any]:
    if serving := _registry(settings).version_of("champion"):
        return {"champion": serving, "again": True}
    _train(settings, "{}", "")
    verdict = _promote(settings, "")
    if not verdict["promoted"]:
        raise UnusableModel(f"the first model was not promoted: {verdict['reasons']}")
    return verdict


def _fitted(
    settings: Settings, recipe: Recipe, registry: Registry, trials_asked: int | None, run: str
) -> dict[str, Any]:
    kind = recipe.kind
    dataset = Dataset.read(settings.workspace)
    with Console(stderr=True).status("training") as status:
        progress: Callable[[str], None] = lambda text: status.update(f"training {kind}: {text}")  # noqa: E731
        trials: list[Trial] = []
        if trials_asked:
            best, trials = search(dataset, recipe, trials_asked, progress)
            recipe = replace(recipe, params=best)
        model = fit(dataset, recipe, _data_version(settings.workspace), git_commit(), progress)
        progress("publishing")
        lock = settings.workspace / "dvc.lock"
        run_id, version = publish(model, dataset, registry, settings.train.experiment, lock, trials, run)
    return {
        "model": registry.name, "version": version, "kind": kind, "mlflow_run": run_id,
        "searched": len(trials), "data_version": model.card.data_version,
        "simulated": model.card.simulated, "metrics": model.card.metrics,
    }  # fmt: skip


def _backtest(
    settings: Settings,
    period: tuple[datetime, datetime, datetime],
    fields: list[str] | None,
    neighbours: Neighbours,
    without: Sequence[str],
    train_start: datetime | None,
) -> dict[str, Any]:
    observations = ObservationStore(connect(settings.observations_url)).window()
    recipe = _recipe(settings, settings.train.kind, settings.train.params)
    train_end, test_start, test_end = (given.date() for given in period)
    hidden = f" without {', '.join(without)}" if without else ""
    with Console(stderr=True).status("backtest") as status:
        return backtest(
            observations, train_end, test_start, test_end, fields, recipe,
            lambda text: status.update(f"backtest{hidden}: {text}"), neighbours, without,
            train_start.date() if train_start else None,
        )  # fmt: skip


def _write(report: Path, found: dict[str, Any]) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _promote(settings: Settings, run: str) -> dict[str, Any]:
    registry = _registry(settings)
    mine = published_by(registry, settings.train.experiment, run) if run else None
    proposed, serving = mine or registry.require("challenger"), registry.find("champion")
    if serving is not None and serving.version == proposed.version:
        return {"promoted": False, "champion": serving.version, "reasons": ["the challenger already is the champion"]}
    with TemporaryDirectory() as folder:
        challenger = registry.load(proposed, _subfolder(folder, "challenger"))
        try_out(Path(folder) / "challenger", proposed.version)
        champion, note = None, "there was no champion"
        if serving is not None:
            try:
                champion, note = registry.load(serving, _subfolder(folder, "champion")), ""
            except UnusableModel as error:
                note = error.detail
    test = Dataset.read(settings.workspace).test
    verdict = judge(challenger, champion, test, settings.train.ece_limit, settings.train.seed)
    if verdict.promote:
        Promotions(registry, connect(settings.observations_url)).promote(
            proposed.version, expected=serving.version if serving else None
        )
    record_verdict(registry, proposed, verdict)
    return {
        "promoted": verdict.promote, "challenger": proposed.version, "reasons": verdict.reasons, "note": note,
        "champion": registry.version_of("champion"),
        "brier": {"challenger": verdict.challenger["brier"], "champion": (verdict.champion or {}).get("brier")},
        "brier_difference": verdict.brier_difference, "worse_stations": verdict.worse_stations,
        "behaviour": verdict.behaviour,
    }  # fmt: skip


def _reload(settings: Settings) -> dict[str, Any]:
    champion = _registry(settings).version_of("champion")
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
    if response.status_code != 200 or response.json()["version"] != champion:
        raise Unavailable(
            f"the model API did not take version {champion}: {response.status_code} {response.text[:300]}"
        )
    return {"serving": champion}


def _recipe(settings: Settings, kind: str, params: Params) -> Recipe:
    return Recipe(kind, params, settings.train.seed, settings.train.masked_share, settings.train.minimum_rows)


def _subfolder(parent: str, name: str) -> Path:
    folder = Path(parent) / name
    folder.mkdir()
    return folder


def _registry(settings: Settings) -> Registry:
    return Registry(settings.mlflow.address, settings.train.model_name)


def _data_version(workspace: Path) -> str:
    """The MD5 that dvc.lock gives features.parquet."""
    lock = yaml.safe_load((workspace / "dvc.lock").read_text(encoding="utf-8"))
    digest: str = lock["stages"]["features"]["outs"][0]["md5"]
    return digest


def git_commit() -> str:
    """The commit this runs from: METEO_GIT_COMMIT (images), else what git says of the checkout, else "unknown"."""
    if told := os.environ.get("METEO_GIT_COMMIT"):
        return told
    if shutil.which("git") is None:
        return "unknown"
    config = config_file()
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607
        cwd=config.parent if config else None, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else "unknown"


if __name__ == "__main__":
    app()
