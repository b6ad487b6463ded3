from pathlib import Path

import numpy as np
import pytest

from meteo import features
from meteo.errors import NotEnoughData
from train.dataset import Dataset, masked


def test_masked_rows_keep_their_label_and_lose_fields(dataset: Dataset) -> None:
    sparse = masked(dataset.train, 2.0, np.random.default_rng(1))
    assert len(sparse) == 2 * len(dataset.train)
    known_before = np.isfinite(dataset.train.observations.values).mean()
    assert 0.3 * known_before < np.isfinite(sparse.observations.values).mean() < 0.7 * known_before
    assert abs(sparse.label.mean() - dataset.train.label.mean()) < 0.05
    kept = np.isfinite(sparse.observations.values)
    assert kept.sum(axis=1).min() <= 1
    assert kept.sum(axis=1).max() == np.isfinite(dataset.train.observations.values).sum(axis=1).max()


def test_some_masked_rows_know_that_it_rained_but_not_how_much(dataset: Dataset) -> None:
    sparse = masked(dataset.train, 1.0, np.random.default_rng(1))
    rained = sparse.matrix[:, features.NAMES.index("rain_today")]
    amount = sparse.observations.column("rainfall")
    assert 0.05 < (np.isfinite(rained) & np.isnan(amount)).mean() < 0.3
    assert np.isfinite(rained[np.isfinite(amount)]).all()


def test_missing_training_data_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughData, match="holds no training data: run `python -m preprocessing` first"):
        Dataset.read(tmp_path)


def test_masking_is_the_same_for_the_same_seed(dataset: Dataset) -> None:
    one, two = (masked(dataset.train, 0.5, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one.matrix, two.matrix)
