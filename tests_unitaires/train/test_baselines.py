from dataclasses import replace

import numpy as np
import pytest

from meteo.observation import rain_tomorrow
from train.baselines import baselines, persistence
from train.dataset import Dataset


def test_climatology_is_the_training_frequency_of_station_and_month(dataset: Dataset) -> None:
    past, rows = dataset.past, dataset.test.observations
    label = rain_tomorrow(past.station, past.day, past.column("rainfall"))
    known = ~np.isnan(label)
    month = (past.day.astype("datetime64[M]") - past.day.astype("datetime64[Y]")).astype(int)
    usual = np.empty(len(rows))
    for row, (station, day) in enumerate(zip(rows.station, rows.day.tolist(), strict=True)):
        same = known & (past.station == station) & (month == day.month - 1)
        usual[row] = (label[same].sum() + 10 * label[known].mean()) / (same.sum() + 10)
    found = baselines(dataset.train, dataset.test, dataset.climate, 1)["climatology"]
    assert found["brier"] == pytest.approx(np.mean((usual - dataset.test.label) ** 2))
    assert found["brier_skill"] == 0


def test_persistence_knows_only_whether_it_rained(dataset: Dataset) -> None:
    found = persistence(dataset.train, dataset.test)
    rain = dataset.test.observations.column("rainfall") > 1
    assert len(np.unique(found[rain])) == len(np.unique(found[~rain])) == 1


def test_no_baseline_sees_the_test_labels(dataset: Dataset) -> None:
    turned = replace(dataset.test, label=1 - dataset.test.label)
    np.testing.assert_array_equal(persistence(dataset.train, dataset.test), persistence(dataset.train, turned))
    found = baselines(dataset.train, dataset.test, dataset.climate, 1)
    assert found["logistic"]["roc_auc"] > 0.8 > found["climatology"]["roc_auc"]
