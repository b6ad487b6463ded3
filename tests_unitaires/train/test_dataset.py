from pathlib import Path

import numpy as np
import pytest

from meteo.errors import NotEnoughData
from train.dataset import Dataset


def test_missing_training_data_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughData, match="holds no training data: run `python -m preprocessing` first"):
        Dataset.read(tmp_path)


def test_parts_can_be_chosen_from_and_joined(dataset: Dataset) -> None:
    wet = dataset.test[dataset.test.label == 1]
    dry = dataset.test[dataset.test.label == 0]
    assert len(wet) + len(dry) == len(dataset.test)
    joined = wet + dry
    assert joined.label.sum() == len(wet)
    assert len(joined.observations) == len(joined.matrix) == len(dataset.test)
    np.testing.assert_array_equal(joined.matrix[: len(wet)], wet.matrix)
