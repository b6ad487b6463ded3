"""What a model must beat: climatology, persistence, plain logistic regression on the station's own row; fitted on the
training part only."""

import numpy as np

from meteo import row
from meteo.observation import Floats
from train.dataset import Part
from train.evaluate import metrics
from train.models import KINDS

_STRENGTH = 10.0
"""Days of the overall rate that are added to a station-month's own, so that a short history does not claim 0 or 1."""


def baselines(train: Part, test: Part, seed: int) -> dict[str, dict[str, float]]:
    """The scores of each baseline on `test`."""
    logistic = KINDS["logistic"]
    own, tested = _own_row(train), _own_row(test)
    regressed, _ = logistic.rehearse(own, tested, dict(logistic.defaults), seed, lambda _: None)
    return {
        "climatology": metrics(test.label, climatology(train, test)),
        "persistence": metrics(test.label, persistence(train, test)),
        "logistic": metrics(test.label, regressed),
    }


def _own_row(part: Part) -> Part:
    return Part(part.observations, part.matrix[:, : len(row.NAMES)], part.label)


def climatology(train: Part, test: Part) -> Floats:
    """How often it rained in training at that station in that month, (n of test,)."""
    keys = _station_months(train)
    rate = float(train.label.mean())
    wet: dict[tuple[str, int], list[float]] = {}
    for key, label in zip(keys, train.label.tolist(), strict=True):
        wet.setdefault(key, []).append(label)
    table = {key: (sum(seen) + _STRENGTH * rate) / (len(seen) + _STRENGTH) for key, seen in wet.items()}
    return np.array([table.get(key, rate) for key in _station_months(test)])


def persistence(train: Part, test: Part) -> Floats:
    """How often rain followed a wet, a dry, or an unknown day in training, (n of test,)."""
    today = _today_code(train)
    rates = [train.label[today == code].mean() if (today == code).any() else train.label.mean() for code in range(3)]
    return np.array(rates)[_today_code(test)]


def _today_code(part: Part) -> "np.typing.NDArray[np.intp]":
    return np.nan_to_num(row.rain_today(part.observations), nan=2).astype(np.intp)


def _station_months(part: Part) -> list[tuple[str, int]]:
    months = part.observations.day.astype("datetime64[M]").astype(int) % 12
    return list(zip(part.observations.station.tolist(), months.tolist(), strict=True))
