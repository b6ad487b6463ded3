"""The model card for people: what a version is, what it learnt from, how good it is and where it is not."""

from collections.abc import Mapping
from typing import Any

from meteo.model import Card, Model
from train.backtest import grouped
from train.baselines import climatology
from train.behaviour import behaviour
from train.dataset import Dataset
from train.evaluate import intervals

LIMITS = (
    "It answers for the 49 stations it learnt, not for places between them.",
    "It gives the chance of more than 1.0 mm in the 24 hours from 9am, not how much or at what hour.",
    "It rests on what the neighbours saw: without them it knows about as much as a row alone tells (AUC .86, not .92).",
    "A station with few days or none in the holdout is judged by its likes.",
    "What climate change moves it does not know of before it is trained again.",
)


def markdown(model: Model, dataset: Dataset) -> str:
    """The card of `model` as Markdown, with 90 % bootstrap intervals, behavioural checks and its weakest stations on
    the holdout."""
    card, test = model.card, dataset.test
    probability = model.probability(test.matrix)
    found = intervals(test.label, probability, test.observations.day, card.seed)
    behaved = behaviour(model, test, card.seed)
    usual = climatology(dataset.train + dataset.validation, test)
    return _markdown(card, found, behaved, grouped(test, probability, usual, test.observations.station))


def _markdown(
    card: Card, bounds: Mapping[str, list[float]], behaved: Mapping[str, Mapping[str, float]],
    stations: Mapping[str, Mapping[str, float]],
) -> str:  # fmt: skip
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
        *(_row(name, found) for name, found in card.baselines.items()),
        "",
        "90 % intervals, whole days resampled: "
        + ", ".join(f"{name} {low:.4f} to {high:.4f}" for name, (low, high) in bounds.items())
        + ". The reliability diagram is `evaluation/reliability.png`.",
        "",
        "## Behaviour",
        "",
        "| change of the day | mean change of the chance | days on which it falls by more than 0.1 |",
        "| --- | --- | --- |",
        *(f"| {name} | {found['mean']:+.3f} | {found['much_lower']:.1%} |" for name, found in behaved.items()),
        "",
        "## Where it is weakest",
        "",
        "| station | Brier skill against its climatology | days |",
        "| --- | --- | --- |",
        *(f"| {name} | {found['brier_skill']:.3f} | {found['n']:.0f} |" for name, found in _weakest(stations)),
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
