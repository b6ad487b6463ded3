import io
from pathlib import Path

import numpy as np
import pytest

from ingest.climate_limits import Normal, fit
from ingest.parser import read_file
from meteo.observation import INDEX


@pytest.mark.slow
def test_the_committed_limits_are_those_of_the_history(history: Path) -> None:
    rows = read_file(history)
    table = io.StringIO()
    fit(rows[np.lexsort((rows.day, rows.station))], table)
    committed = Path(__file__).parents[2] / "src" / "ingest" / "normal.csv"
    assert table.getvalue() == committed.read_text(encoding="utf-8")


def test_limits_are_of_the_station_and_month() -> None:
    days = np.array(["2024-01-15", "2024-07-15"], "datetime64[D]")
    low, high = Normal().ranges("Hobart", days)
    column = INDEX["max_temp"]
    assert low[0, column] < 15 < 40 < high[0, column]
    assert high[1, column] < high[0, column]
    assert np.isnan(low[:, INDEX["wind_dir_9am"]]).all()
    assert np.isnan(Normal().steps("Hobart")[INDEX["rainfall"]])


def test_an_unfitted_station_has_no_limits() -> None:
    low, high = Normal().ranges("Atlantis", np.array(["2024-01-15"], "datetime64[D]"))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
