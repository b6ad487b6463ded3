"""Fit one model on the past, score it on the days after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from meteo.errors import NotEnoughData
from meteo.features.matrix import FEATURE_NAMES
from meteo.forecasts.verification import at_threshold, best_threshold, scores
from meteo.models.bundle import Model, seal
from meteo.models.card import Card
from meteo.training_parameters import Params
from train.baselines import baselines
from train.dataset import Dataset, Part
from train.kinds import KINDS, Progress
from train.masking import masked

GOLDEN_ROWS = 16
"""So many full and so many sparse rows go with a model, with what it makes of them."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a fit besides the data."""

    kind: str
    params: Params
    seed: int
    masked_share: float
    minimum_rows: int


def fit(
    dataset: Dataset,
    recipe: Recipe,
    data_version: str,
    git_commit: str,
    progress: Progress,
    without: Sequence[int] | NDArray[np.intp] = (),
) -> Model:
    """A model of `recipe` with its card; the test part is read only to score it.

    Tuning on the training part, scored on the validation part, finds the threshold and what the kind leaves open
    (the number of trees); the model itself then learns from both parts, the newest days included. Columns `without` are
    hidden from it.
    """
    check(dataset, recipe.minimum_rows)
    kind = KINDS[recipe.kind]
    params = kind.parameters(recipe.params)
    progress("masking")
    known, sparse, early = lessons(dataset, recipe, without)
    chances, found = kind.tune_on_validation(early, dataset.validation, params, recipe.seed, progress)
    threshold = best_threshold(dataset.validation.label, chances)
    params = {**params, **found}
    files = kind.fit(known + sparse, params, recipe.seed, progress)
    progress("scoring")
    test = dataset.test
    card = Card(
        kind=recipe.kind,
        features=FEATURE_NAMES,
        threshold=threshold,
        trained_at=datetime.now(UTC),
        data_version=data_version,
        git_commit=git_commit,
        simulated=dataset.simulated,
        seed=recipe.seed,
        params=params,
        split={
            "train_start": _first(dataset.train),
            "validation_start": _first(dataset.validation),
            "test_start": _first(test),
            "test_end": test.observations.day.max().item(),
        },
        metrics={},
        baselines=baselines(known, test, dataset.climate, recipe.seed),
    )
    golden = np.concatenate([test.matrix[:GOLDEN_ROWS], sparse.matrix[:GOLDEN_ROWS]])
    model = seal(files, dataset.climate, golden, card, threads=0)
    usual = dataset.climate.rates(test.observations.station, test.observations.day)
    probability = model.probability(test.matrix)
    model.card.metrics.update(scores(test.label, probability, usual))
    model.card.metrics.update(at_threshold(test.label, probability, threshold))
    return model


def lessons(
    dataset: Dataset, recipe: Recipe, without: Sequence[int] | NDArray[np.intp] = ()
) -> tuple[Part, Part, Part]:
    """What there is to learn from: all rows before the test period, the same with something left out, and of both those
    before the validation period, for tuning."""
    known = dataset.train + dataset.validation
    generator = np.random.default_rng(recipe.seed)
    sparse = masked(dataset.past, known, dataset.climate, recipe.masked_share, generator)
    sparse.matrix[:, list(without)] = known.matrix[:, list(without)] = np.nan
    earlier = sparse.observations.day < dataset.validation.observations.day.min()
    return known, sparse, known[: len(dataset.train)] + sparse[earlier]


def check(dataset: Dataset, minimum_rows: int) -> None:
    """NotEnoughData unless each part can be learnt from or scored on."""
    if len(dataset.train) < minimum_rows:
        raise NotEnoughData(f"{len(dataset.train)} labelled rows to train on; at least {minimum_rows} are needed")
    parts: Sequence[tuple[str, Part]] = (
        ("training", dataset.train),
        ("validation", dataset.validation),
        ("test", dataset.test),
    )
    for name, part in parts:
        if not 0 < part.label.sum() < len(part):
            raise NotEnoughData(f"the {name} period of {len(part)} labelled rows lacks wet or dry days")


def _first(part: Part) -> date:
    day: date = part.observations.day.min().item()
    return day
