"""The model card for people: what a version is, what it learnt from, how good it is and where it is not."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from meteo.errors import InvalidInput
from meteo.forecasts.verification import intervals, reliability
from meteo.models.bundle import Model
from meteo.models.card import Card, Holdout
from train.backtest import grouped
from train.behaviour import behaviour
from train.dataset import Dataset, Part

LIMITS = (
    "It answers for the 49 stations it learnt, not for places between them.",
    "It gives the chance of more than 1.0 mm in the 24 hours from 9am, not how much or at what hour.",
    "It rests on what the neighbours saw: without them it knows about as much as a row alone tells (AUC .86, not .92).",
    "A station with few days or none in the holdout is judged by its likes.",
    "What climate change moves it does not know of before it is trained again.",
)

_EXPLAINED = 1000
"""So many days of the holdout are explained to see which features matter."""


def holdout(model: Model, dataset: Dataset) -> Holdout:
    """What the days it never saw say of `model`; importance is taken from a sample of them."""
    test, seed = dataset.test, model.card.seed
    probability = model.probability(test.matrix)
    bounds = intervals(test.label, probability, test.observations.day, seed)
    usual = model.climate.rates(test.observations.station, test.observations.day)
    return Holdout(
        intervals={"roc_auc": bounds["auc"], "brier": bounds["brier"]},
        reliability=[row._asdict() for row in reliability(test.label, probability)],
        stations=grouped(test, probability, usual, test.observations.station),
        importance=_importance(model, test, seed),
    )


def _importance(model: Model, test: Part, seed: int) -> dict[str, float]:
    sample = np.random.default_rng(seed).permutation(len(test))[:_EXPLAINED]
    try:
        effects, _ = model.estimator.contributions(test.matrix[sample])
    except InvalidInput:  # of a kind that explains nothing
        return {}
    return dict(zip(model.card.features, np.abs(effects).mean(axis=0).tolist(), strict=True))


def markdown(model: Model, dataset: Dataset) -> str:
    """The card of `model`, whose holdout has been looked at, as Markdown."""
    card = model.card
    if card.holdout is None:
        raise ValueError("the card has no holdout: publish looks at it first")
    return _markdown(card, card.holdout, behaviour(model, dataset.test, card.seed))


def _markdown(card: Card, found: Holdout, behaved: Mapping[str, Mapping[str, float]]) -> str:
    scores, split = card.metrics, card.split
    lines = [
        f"# {card.kind}, trained {card.trained_at:%Y-%m-%d %H:%M} UTC",
        "",
        "Chance of more than 1.0 mm of rain from 9am to 9am at 49 Australian stations."
        + (" **Learnt from simulated observations, not from BOM's.**" if card.simulated else ""),
        "",
        f"- Data version `{card.data_version}` (`python -m preprocessing restore {card.data_version}` brings it back)",
        f"- Code `{card.git_commit}`, seed {card.seed}, features {len(card.features)}, threshold {card.threshold:.2f}",
        f"- Split by time: validation from {split.get('validation_start', '?')}, holdout from {split['test_start']}",
        "- " + ", ".join(f"{name} {value}" for name, value in card.params.items()),
        "",
        f"## On the holdout: {scores['n']:,.0f} days of stations, {scores['base_rate']:.1%} followed by rain",
        "",
        "| | ROC AUC | Brier | log loss | calibration error |",
        "| --- | --- | --- | --- | --- |",
        _row("**this model**", scores),
        *(_row(name, other) for name, other in card.baselines.items()),
        "",
        f"Saying rain from {card.threshold:.2f} on: "
        + ", ".join(f"{name} {scores[name]:.3f}" for name in ("accuracy", "precision", "recall", "f1"))
        + ".",
        "",
        "90 % intervals, whole days resampled: "
        + ", ".join(f"{name} {low:.4f} to {high:.4f}" for name, (low, high) in found.intervals.items())
        + ". The reliability diagram is `evaluation/reliability.png`.",
        "",
        "## Behaviour",
        "",
        "| change of the day | mean change of the chance | days on which it falls by more than 0.1 |",
        "| --- | --- | --- |",
        *(f"| {name} | {change['mean']:+.3f} | {change['much_lower']:.1%} |" for name, change in behaved.items()),
        "",
        "## Where it is weakest",
        "",
        "| station | Brier skill against its climatology | days |",
        "| --- | --- | --- |",
        *(f"| {name} | {here['brier_skill']:.3f} | {here['n']:.0f} |" for name, here in _weakest(found.stations)),
        "",
        "## Known limits",
        "",
        *(f"- {sentence}" for sentence in LIMITS),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, scores: Mapping[str, float]) -> str:
    cells = (f"{scores[key]:.4f}" if key in scores else "" for key in ("roc_auc", "brier", "log_loss", "ece"))
    return f"| {name} | {' | '.join(cells)} |"


def _weakest(stations: Mapping[str, Mapping[str, float]], count: int = 5) -> list[tuple[str, Any]]:
    return sorted(stations.items(), key=lambda entry: entry[1]["brier_skill"])[:count]
