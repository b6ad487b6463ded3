"""Train on the past only, score on later days: the honest figure, from a history file straight to a report."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from meteo.errors import InvalidInput
from meteo.features.climatology import Climate
from meteo.features.matrix import FEATURE_NAMES, feature_matrix
from meteo.features.neighbours import Surroundings
from meteo.forecasts.verification import decomposition, intervals, reliability, scores
from meteo.observation import BY_NAME, FIELDS, NAMES, Floats, Observations, rain_tomorrow
from train.dataset import Dataset, Part
from train.fit import Recipe, fit
from train.kinds import Progress
from train.masking import AFTERNOON, MORNING

Neighbours = Literal["stored", "likewise", "none"]
VALIDATION_SHARE = 0.15
GROUPS = {
    "climate": "_anomaly$|^rain_climate$",
    "near": "_near_[0-9]+_km$",
    "sides": "_(north|east|south|west)_[0-9]+_km$|_less_own$",
    "gradients": "_km_less_(east|south)_",
    "yesterday": "_yesterday$",
    "map": "_at_[A-Z]",
}
"""Groups of features by their names, for ablation."""

STEPS = ((), ("map",), ("map", "gradients", "yesterday", "sides"), tuple(GROUPS))
"""What an ablation hides, one step after the other: nothing first, all but the station's own row last."""

SITUATIONS: dict[str, tuple[Sequence[str], Neighbours]] = {
    "five fields": (("humidity_3pm", "pressure_3pm", "rainfall", "wind_gust_speed", "temp_3pm"), "stored"),
    "five fields, no neighbours": (("humidity_3pm", "pressure_3pm", "rainfall", "wind_gust_speed", "temp_3pm"), "none"),
    "9am readings": (tuple(field.name for field in FIELDS if field.block == "9am"), "stored"),
    "after 9am, neighbours likewise": (tuple(np.array(NAMES)[MORNING].tolist()), "likewise"),
    "after 3pm, neighbours likewise": (tuple(np.array(NAMES)[AFTERNOON].tolist()), "likewise"),
    "no neighbours": (NAMES, "none"),
}
"""What else the same model is scored on: the fields that the test rows are given, and their neighbours."""


def backtest(
    observations: Observations,
    train_end: date,
    test_start: date,
    test_end: date,
    fields: Sequence[str] | None,
    recipe: Recipe,
    progress: Progress,
    neighbours: Neighbours = "stored",
    without: Sequence[str] = (),
    train_start: date | None = None,
) -> dict[str, Any]:
    """Scores of the model and the baselines on test_start..test_end, overall, by year and by station.

    Training sees rows from `train_start`, by default the oldest, up to `train_end`; with `fields` the test rows are
    given those fields only, as a sparse form would be. Their `neighbours` are as stored, given those fields only
    ("likewise", as at an early hour), or none. The groups of features named in `without` are known to nobody.
    """
    if train_start is not None:
        observations = observations[observations.day >= np.datetime64(train_start, "D")]
    progress("features")
    dataset = dataset_of(observations, train_end, test_start, test_end)
    label = rain_tomorrow(observations.station, observations.day, observations.column("rainfall"))
    tested = _between(observations.day, test_start, test_end)

    def test_part(fields: Sequence[str] | None, neighbours: Neighbours) -> Part:
        given = _only(observations, fields)
        reported = {"stored": observations, "likewise": given, "none": Observations.empty()}[neighbours]
        then = Surroundings.of(reported[reported.day >= np.datetime64(test_start, "D") - 1])
        return _part(given, label, tested, then, dataset.climate)

    dataset = replace(dataset, test=test_part(fields, neighbours))
    model = fit(dataset, recipe, "history", "", progress, unknown_columns(without))
    progress("evaluation")
    test = dataset.test
    probability = model.probability(test.matrix)
    usual = model.climate.rates(test.observations.station, test.observations.day)
    months = (test.observations.day.astype("datetime64[M]").astype(int) % 12 + 1).astype(str)
    groups = {
        "by_year": test.observations.day.astype("datetime64[Y]").astype(str),
        "by_month": months,
        "by_station": test.observations.station,
    }
    return {
        "model": {
            **_contract(model.card.metrics),
            **decomposition(test.label, probability),
            "intervals": intervals(test.label, probability, test.observations.day, recipe.seed),
        },
        "baselines": {name: _contract(found) for name, found in model.card.baselines.items()},
        "params": model.card.params,
        "reliability": [row._asdict() for row in reliability(test.label, probability)],
        "situations": {
            name: _contract(scores(part.label, model.probability(part.matrix), usual))
            for name, part in ((name, test_part(*given)) for name, given in SITUATIONS.items())
        },
        **{name: grouped(test, probability, usual, group) for name, group in groups.items()},
    }


def dataset_of(observations: Observations, train_end: date, test_start: date, test_end: date) -> Dataset:
    """The periods of a backtest; InvalidInput where they are not in order or nothing lies before them."""
    if not train_end < test_start <= test_end:
        raise InvalidInput(f"TRAIN_END {train_end} must lie before TEST_START {test_start}, and that before TEST_END")
    day = observations.day
    label = rain_tomorrow(observations.station, day, observations.column("rainfall"))
    until = np.datetime64(train_end, "D")
    past = np.sort(day[day <= until])
    if not len(past):
        raise InvalidInput(f"there is no observation up to TRAIN_END {train_end}")
    watch = past[int(len(past) * (1 - VALIDATION_SHARE))]
    known = observations[day <= until]
    climate, around = Climate.fit(known), Surroundings.of(known)
    then = Surroundings.of(observations[day >= np.datetime64(test_start, "D") - 1])
    return Dataset(
        _part(observations, label, day < watch, around, climate),
        _part(observations, label, (day >= watch) & (day <= until), around, climate),
        _part(observations, label, _between(day, test_start, test_end), then, climate),
        known,
        climate,
        simulated=False,
    )


def _between(day: NDArray[np.datetime64], start: date, end: date) -> NDArray[np.bool_]:
    return (day >= np.datetime64(start, "D")) & (day <= np.datetime64(end, "D"))


def _contract(found: dict[str, float]) -> dict[str, float]:
    """Scores under the names of the report, where the area under the ROC curve is `auc`."""
    return {"auc": found["roc_auc"], **{name: value for name, value in found.items() if name != "roc_auc"}}


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
    return Part(picked, feature_matrix(picked, around, climate), label[rows])


def unknown_columns(groups: Sequence[str]) -> NDArray[np.intp]:
    """The columns of X that belong to the named groups; InvalidInput for a group that is none."""
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise InvalidInput(f"WITHOUT: unknown {', '.join(unknown)}; known: {', '.join(GROUPS)}")
    return np.array(
        [column for column, name in enumerate(FEATURE_NAMES) for group in groups if re.search(GROUPS[group], name)],
        dtype=np.intp,
    )


def grouped(part: Part, probability: Floats, usual: Floats, group: NDArray[np.str_]) -> dict[str, dict[str, float]]:
    """Scores per group; groups without both wet and dry days have no AUC and are left out."""
    groups = {}
    for name in np.unique(group).tolist():
        inside = group == name
        if 0 < part.label[inside].sum() < inside.sum():
            groups[name] = _contract(scores(part.label[inside], probability[inside], usual[inside]))
    return groups
