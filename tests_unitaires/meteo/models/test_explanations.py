import numpy as np
import pytest

from meteo.errors import InvalidInput
from meteo.features.matrix import FEATURE_NAMES
from meteo.models.explanations import LINEAR, LinearReasons, linear_file, reasons_in

WIDTH = len(FEATURE_NAMES)
REASONS = LinearReasons(0.5, [1.0] * WIDTH, [2.0] * WIDTH, [0.1] * WIDTH, [-0.3] * WIDTH)


def test_the_base_and_the_effects_add_up_to_the_log_odds() -> None:
    matrix = np.full((1, WIDTH), 3.0, np.float32)
    effects, base = REASONS.contributions(matrix)
    assert base == 0.5
    assert effects[0] == pytest.approx([0.1 * (3 - 2)] * WIDTH)


def test_a_missing_value_counts_as_what_fills_it_and_for_its_absence() -> None:
    matrix = np.full((1, WIDTH), np.nan, np.float32)
    effects, _ = REASONS.contributions(matrix)
    assert effects[0] == pytest.approx([0.1 * (1 - 2) - 0.3] * WIDTH)


def test_what_was_written_is_read_again() -> None:
    assert reasons_in({LINEAR: linear_file(REASONS)}) == REASONS


def test_a_kind_that_explains_nothing_says_so() -> None:
    with pytest.raises(InvalidInput, match="reasons are not available for a random_forest model"):
        reasons_in({}).contributions(np.zeros((1, WIDTH), np.float32))
