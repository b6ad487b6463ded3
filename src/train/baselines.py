"""What a model must beat: climatology, persistence, plain logistic regression on the station's own row; fitted on the
training period only."""

import numpy as np

from meteo.features import station_row
from meteo.features.climatology import Climate
from meteo.forecasts.verification import scores
from meteo.observation import Floats
from train.dataset import Part
from train.kinds import KINDS


def baselines(train: Part, test: Part, climate: Climate, seed: int) -> dict[str, dict[str, float]]:
    """The scores of each baseline on `test`; `climate` was fitted on the training period."""
    logistic = KINDS["logistic"]
    own, tested = _own_row(train), _own_row(test)
    regressed, _ = logistic.tune_on_validation(own, tested, logistic.parameters({}), seed, lambda _: None)
    usual = climate.rates(test.observations.station, test.observations.day)
    return {
        name: scores(test.label, probability, usual)
        for name, probability in (
            ("climatology", usual),
            ("persistence", persistence(train, test)),
            ("logistic", regressed),
        )
    }


def _own_row(part: Part) -> Part:
    return Part(part.observations, part.matrix[:, : len(station_row.NAMES)], part.label)


def persistence(train: Part, test: Part) -> Floats:
    """How often rain followed a wet, a dry, or an unknown day in training, (n of test,)."""
    today = _today_code(train)
    rates = [train.label[today == code].mean() if (today == code).any() else train.label.mean() for code in range(3)]
    return np.array(rates)[_today_code(test)]


def _today_code(part: Part) -> "np.typing.NDArray[np.intp]":
    return np.nan_to_num(station_row.rain_today(part.observations), nan=2).astype(np.intp)
