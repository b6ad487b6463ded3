"""Train on the past only, score on later days: the honest figure, from a history file straight to a report."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from meteo import features
from meteo.climate import Climate
from meteo.errors import InvalidInput
from meteo.observation import BY_NAME, NAMES, Floats, Observations, rain_tomorrow
from meteo.surroundings import Surroundings
from train.dataset import Dataset, Part
from train.evaluate import metrics
from train.fit import Recipe, fit
from train.models import Progress

Neighbours = Literal["stored", "likewise", "none"]
VALIDATION_SHARE = 0.15


def backtest(
    observations: Observations,
    train_end: date,
    test_start: date,
    test_end: date,
    fields: Sequence[str] | None,
    recipe: Recipe,
    progress: Progress,
    neighbours: Neighbours = "stored",
) -> dict[str, Any]:
    """Scores of the model and the baselines on test_start..test_end, overall, by year and by station.

    Training sees rows up to `train_end`; with `fields` the test rows are given those fields only, as a sparse form
    would be. Their `neighbours` are as stored, given the same fields only ("likewise", as at an early hour), or none.
    """
    if not train_end < test_start <= test_end:
        raise InvalidInput(f"TRAIN_END {train_end} must lie before TEST_START {test_start}, and that before TEST_END")
    label = rain_tomorrow(observations.station, observations.day, observations.column("rainfall"))
    day = observations.day
    past = np.sort(day[day <= np.datetime64(train_end, "D")])
    if not len(past):
        raise InvalidInput(f"there is no observation up to TRAIN_END {train_end}")
    watch = past[int(len(past) * (1 - VALIDATION_SHARE))]
    until = np.datetime64(train_end, "D")
    tested = (day >= np.datetime64(test_start, "D")) & (day <= np.datetime64(test_end, "D"))
    progress("features")
    known = observations[day <= until]
    climate = Climate.fit(known)
    around = Surroundings.of(known)
    given = _only(observations, fields)
    reported = {"stored": observations, "likewise": given, "none": Observations.empty()}[neighbours]
    then = Surroundings.of(reported[reported.day >= np.datetime64(test_start, "D") - 1])
    dataset = Dataset(
        _part(observations, label, day < watch, around, climate),
        _part(observations, label, (day >= watch) & (day <= until), around, climate),
        _part(given, label, tested, then, climate),
        known,
        climate,
        simulated=False,
    )
    model = fit(dataset, recipe, "history", "", progress)
    probability = model.probability(dataset.test.matrix)
    tested_rows = dataset.test.observations
    return {
        "model": _contract(model.card.metrics),
        "baselines": {name: _contract(scores) for name, scores in model.card.baselines.items()},
        "by_year": _grouped(dataset.test, probability, tested_rows.day.astype("datetime64[Y]").astype(str)),
        "by_station": _grouped(dataset.test, probability, tested_rows.station),
    }


def _contract(scores: dict[str, float]) -> dict[str, float]:
    """Scores under the names of the report, where the area under the ROC curve is `auc`."""
    return {"auc": scores["roc_auc"], **{name: value for name, value in scores.items() if name != "roc_auc"}}


def _only(observations: Observations, fields: Sequence[str] | None) -> Observations:
    if fields is None:
        return observations
    unknown = sorted(set(fields) - set(BY_NAME))
    if unknown:
        raise InvalidInput(f"FIELDS: unknown {', '.join(unknown)}; known: {', '.join(NAMES)}")
    known = np.isin(NAMES, list(fields))
    return Observations(observations.station, observations.day, np.where(known, observations.values, np.nan))


def _part(
    observations: Observations, label: Floats, chosen: NDArray[np.bool_], around: Surroundings, climate: Climate
) -> Part:
    rows = np.flatnonzero(chosen & ~np.isnan(label))
    picked = observations[rows]
    return Part(picked, features.features(picked, around, climate), label[rows])


def _grouped(part: Part, probability: Floats, group: NDArray[np.str_]) -> dict[str, dict[str, float]]:
    """Scores per group; groups without both wet and dry days have no AUC and are left out."""
    scores = {}
    for name in np.unique(group).tolist():
        inside = group == name
        if 0 < part.label[inside].sum() < inside.sum():
            scores[name] = _contract(metrics(part.label[inside], probability[inside]))
    return scores
