"""Fit one model on the past, score it on the days after."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from meteo import features
from meteo.errors import NotEnoughData
from meteo.model import Card, Model, sigmoid
from train.baselines import baselines
from train.dataset import Dataset, Part, masked
from train.evaluate import best_threshold, metrics
from train.models import KINDS, Params, Progress


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a fit besides the data."""

    kind: str
    params: Params
    seed: int
    masked_share: float
    minimum_rows: int


def fit(dataset: Dataset, recipe: Recipe, data_version: str, git_commit: str, progress: Progress) -> Model:
    """A model of `recipe` with its card; the test part is read only to score it."""
    check(dataset, recipe.minimum_rows)
    kind = KINDS[recipe.kind]
    params = kind.parameters(recipe.params)
    generator = np.random.default_rng(recipe.seed)
    train = _join(dataset.train, masked(dataset.train, recipe.masked_share, generator))
    estimator = kind.fit(train, dataset.validation, params, recipe.seed, progress)
    progress("scoring")
    threshold = best_threshold(dataset.validation.label, sigmoid(estimator.margin(dataset.validation.matrix)))
    test = dataset.test
    card = Card(
        kind=recipe.kind,
        file=kind.file,
        features=features.NAMES,
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
        metrics=metrics(test.label, sigmoid(estimator.margin(test.matrix))),
        baselines=baselines(dataset.train, test, recipe.seed),
    )
    return Model(estimator, card)


def check(dataset: Dataset, minimum_rows: int) -> None:
    """NotEnoughData unless each part can be learnt from or scored on."""
    if len(dataset.train) < minimum_rows:
        raise NotEnoughData(f"{len(dataset.train)} labelled rows to train on; at least {minimum_rows} are needed")
    for name, part in (("training", dataset.train), ("validation", dataset.validation), ("test", dataset.test)):
        if not 0 < part.label.sum() < len(part):
            raise NotEnoughData(f"the {name} period of {len(part)} labelled rows lacks wet or dry days")


def _first(part: Part) -> date:
    day: date = part.observations.day.min().item()
    return day


def _join(full: Part, sparse: Part) -> Part:
    return Part(
        type(full.observations).concatenate([full.observations, sparse.observations]),
        np.concatenate([full.matrix, sparse.matrix]),
        np.concatenate([full.label, sparse.label]),
    )
