from dataclasses import replace

import numpy as np

from train.baselines import baselines, climatology, persistence
from train.dataset import Dataset


def test_climatology_is_the_training_frequency_of_station_and_month(dataset: Dataset) -> None:
    found = climatology(dataset.train, dataset.test)
    rows, train = dataset.test.observations, dataset.train.observations
    month = rows.day[0].astype("datetime64[M]").astype(int) % 12
    same = (train.station == rows.station[0]) & (train.day.astype("datetime64[M]").astype(int) % 12 == month)
    wet, n, rate = dataset.train.label[same].sum(), same.sum(), dataset.train.label.mean()
    assert found[0] == (wet + 10 * rate) / (n + 10)


def test_persistence_knows_only_whether_it_rained(dataset: Dataset) -> None:
    found = persistence(dataset.train, dataset.test)
    rain = dataset.test.observations.column("rainfall") > 1
    assert len(np.unique(found[rain])) == len(np.unique(found[~rain])) == 1


def test_no_baseline_sees_the_test_labels(dataset: Dataset) -> None:
    turned = replace(dataset.test, label=1 - dataset.test.label)
    np.testing.assert_array_equal(climatology(dataset.train, dataset.test), climatology(dataset.train, turned))
    found = baselines(dataset.train, dataset.test, 1)
    assert found["logistic"]["roc_auc"] > 0.8 > found["climatology"]["roc_auc"]
