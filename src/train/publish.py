"""A fitted model -> an MLflow run and a registered version, loadable by this product and by MLflow alike."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import mlflow.onnx
import onnx
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from meteo.models.bundle import Model
from meteo.models.card import CARD, GRAPH
from meteo.models.published import CARD_TAG, SIGNATURE_TAG, Published
from meteo.models.registry import BUNDLE, Registry
from train.card import holdout, markdown
from train.dataset import Dataset, Part
from train.promotion_gate import Verdict
from train.search import Trial

ASKED_RUN = "asked_run"
"""Tag of runs and versions: the pipeline run that asked for them, which when tried again makes no second one."""


def publish(
    model: Model,
    dataset: Dataset,
    registry: Registry,
    experiment: str,
    lock: Path,
    trials: Sequence[Trial] = (),
    asked_run: str = "",
) -> tuple[str, str]:
    """Log run, metrics, plots, card and bundle, then register; (run id, version).

    The registration comes last: a run that was cut short leaves no version behind. `lock` is the dvc.lock that brings
    back the data this model was trained on. The `trials` of a search become child runs. `asked_run` is whose version
    it becomes (see `published_by`).
    """
    client = MlflowClient(registry.uri, registry.uri)
    card, test = model.card, dataset.test
    card.holdout = holdout(model, dataset)
    experiment_known = client.get_experiment_by_name(experiment)
    experiment_id = experiment_known.experiment_id if experiment_known else client.create_experiment(experiment)
    tags = {
        "data_version": card.data_version,
        "git_commit": card.git_commit,
        "kind": card.kind,
        "simulated": str(card.simulated).lower(),
        **({ASKED_RUN: asked_run} if asked_run else {}),
    }
    run_id: str = client.create_run(
        experiment_id, run_name=f"{card.kind} {card.trained_at:%Y-%m-%d %H:%M}", tags=tags
    ).info.run_id
    for name, value in {**card.params, "seed": card.seed, **card.split}.items():
        client.log_param(run_id, name, value)
    for name, value in _flat({"": card.metrics, **card.baselines}).items():
        client.log_metric(run_id, name, value)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / BUNDLE
        _save(model, test, bundle)
        written = (bundle / CARD).read_bytes()
        sealed = {CARD_TAG: hashlib.sha256(written).hexdigest(), SIGNATURE_TAG: registry.sign(written)}
        client.log_artifacts(run_id, str(bundle), BUNDLE)
        shutil.copyfile(lock, Path(folder) / "dvc.lock")
        client.log_artifact(run_id, str(Path(folder) / "dvc.lock"), "data")
        client.log_text(run_id, card.holdout.model_dump_json(indent=1), "evaluation/holdout.json")
        client.log_text(run_id, markdown(model, dataset), "evaluation/card.md")
        _plot(card.holdout.reliability, Path(folder) / "reliability.png")
        client.log_artifact(run_id, str(Path(folder) / "reliability.png"), "evaluation")
    for number, trial in enumerate(trials, 1):
        _log_trial(client, experiment_id, run_id, number, trial)
    client.set_terminated(run_id)
    metrics = {name: f"{value:.6f}" for name, value in card.metrics.items()}
    return run_id, _register(client, registry.name, run_id, {**tags, **metrics, **sealed})


def published_by(registry: Registry, experiment: str, asked_run: str) -> Published | None:
    """The version that a run has published already, made the challenger again; None where it has not. What its earlier
    tries left unfinished at MLflow is marked as killed."""
    client = MlflowClient(registry.uri, registry.uri)
    if known := client.get_experiment_by_name(experiment):
        unfinished = f"tags.{ASKED_RUN} = '{asked_run}' and attributes.status = 'RUNNING'"
        for run in client.search_runs([known.experiment_id], unfinished):
            client.set_terminated(run.info.run_id, "KILLED")
    published = next((version for version in registry.versions() if version.tags.get(ASKED_RUN) == asked_run), None)
    if published is not None:
        registry.point("challenger", published.version)
    return published


def record_verdict(registry: Registry, version: Published, verdict: Verdict) -> None:
    """Leave the gate's decision with its numbers at the version and at its run."""
    client = MlflowClient(registry.uri, registry.uri)
    client.set_model_version_tag(registry.name, version.version, "gate", "promoted" if verdict.promote else "refused")
    client.set_model_version_tag(registry.name, version.version, "gate_reasons", "; ".join(verdict.reasons)[:4000])
    client.log_text(version.run_id, json.dumps(asdict(verdict), indent=1), "evaluation/gate.json")


def _log_trial(client: MlflowClient, experiment_id: str, parent: str, number: int, trial: Trial) -> None:
    tags = {"mlflow.parentRunId": parent}
    run_id = client.create_run(experiment_id, run_name=f"trial {number}", tags=tags).info.run_id
    for name, value in trial.params.items():
        client.log_param(run_id, name, value)
    client.log_metric(run_id, "validation.log_loss", trial.log_loss)
    client.set_terminated(run_id)


def _register(client: MlflowClient, name: str, run_id: str, tags: dict[str, str]) -> str:
    """Make the bundle logged by a run a new version and the challenger; its version number."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{BUNDLE}"
    version = str(client.create_model_version(name, source, run_id, tags=tags).version)
    client.set_registered_model_alias(name, "challenger", version)
    return version


def _save(model: Model, test: Part, folder: Path) -> None:
    """The bundle, with what MLflow needs to load it as a model of its ONNX flavour."""
    signature = infer_signature(test.matrix[:5], model.estimator.margin(test.matrix[:5])[:, None].astype("float32"))
    mlflow.onnx.save_model(
        onnx.load_model_from_string(model.files[GRAPH]),
        str(folder),
        signature=signature,
        pip_requirements=["onnxruntime==1.31.*"],
    )
    model.save(folder)


def _plot(bins: list[dict[str, float]], path: Path) -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 5))
    axes.plot([0, 1], [0, 1], color="0.7")
    axes.plot([row["forecast"] for row in bins], [row["observed"] for row in bins], marker="o")
    for row in bins:
        axes.annotate(f"{row['n']:.0f}", (row["forecast"], row["observed"]), textcoords="offset points", xytext=(6, -8))
    axes.set(xlabel="forecast probability", ylabel="observed frequency", title="Reliability on the holdout (n per bin)")
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def _flat(groups: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {
        f"{group}.{name}" if group else name: value
        for group, scores in groups.items()
        for name, value in scores.items()
    }
