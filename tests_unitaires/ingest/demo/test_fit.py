from pathlib import Path

import numpy as np
import pytest

from ingest.demo.climate import PATH, Climate
from ingest.demo.fit import fit
from ingest.parser import read_file

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def refitted(history: Path) -> Climate:
    return fit(read_file(history))


def test_the_committed_figures_are_those_of_the_script(refitted: Climate) -> None:
    committed = Climate.load()
    assert committed.stations.tolist() == refitted.stations.tolist()
    for name in ("mean", "spread", "quantiles", "wet", "missing"):
        np.testing.assert_allclose(getattr(committed, name), getattr(refitted, name), rtol=2e-3, atol=2e-3)


def test_the_figures_are_a_small_file() -> None:
    assert PATH.stat().st_size < 300_000


def test_figures_survive_saving(tmp_path: Path) -> None:
    committed = Climate.load()
    committed.save(tmp_path / "again.npz")
    np.testing.assert_array_equal(Climate.load(tmp_path / "again.npz").loadings, committed.loadings)


def test_a_process_that_is_fitted_is_stable(refitted: Climate) -> None:
    assert np.abs(np.linalg.eigvals(refitted.dynamics)).max() < 1
    assert np.abs(refitted.local_memory).max() <= 0.9
