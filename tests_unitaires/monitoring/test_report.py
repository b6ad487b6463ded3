import numpy as np
import pytest

from meteo.observation import INDEX, NAMES, Floats
from monitoring.report import LEAST_ROWS, LIMITS, METHODS, MINIMUM_KNOWN, compare, known_rows, page, same_season


@pytest.fixture
def rows() -> Floats:
    """As many as a comparison needs and more, of humidity and of the wind's direction alone."""
    dice = np.random.default_rng(0)
    found = np.full((400, len(NAMES)), np.nan)
    found[:, INDEX["humidity_3pm"]] = dice.normal(60, 10, len(found))
    found[:, INDEX["wind_dir_9am"]] = dice.integers(0, 16, len(found))
    return found


def test_a_season_goes_round_the_end_of_the_year() -> None:
    days = np.array(["2015-12-20", "2016-01-16", "2016-01-17", "2014-12-16", "2014-12-17"], "datetime64[D]")
    assert same_season(days, np.datetime64("2017-01-01")).tolist() == [True, True, False, False, True]


def test_station_days_that_know_nothing_are_no_rows() -> None:
    values = np.full((2, 3, len(NAMES)), np.nan)
    values[1, 2, 0] = 5
    assert known_rows(values).shape == (1, len(NAMES))


def test_the_same_readings_are_no_distance_apart(rows: Floats) -> None:
    columns = {column.field: column for column in compare(rows, rows)}
    assert set(columns) == {"humidity_3pm", "wind_dir_9am"}, "the others are not known"
    for name, column in columns.items():
        assert column.distance == pytest.approx(0)
        assert (column.method, column.threshold, column.drifted) == (METHODS[name], LIMITS[name], False)


def test_a_number_that_moved_is_so_many_standard_deviations_away(rows: Floats) -> None:
    moved = rows.copy()
    moved[:, INDEX["humidity_3pm"]] += 10
    (humidity,) = (column for column in compare(moved, rows) if column.field == "humidity_3pm")
    assert humidity.distance == pytest.approx(10 / rows[:, INDEX["humidity_3pm"]].std())
    assert humidity.drifted


def test_a_wind_from_one_side_alone_has_drifted(rows: Floats) -> None:
    turned = rows.copy()
    turned[:, INDEX["wind_dir_9am"]] = 3
    (wind,) = (column for column in compare(turned, rows) if column.field == "wind_dir_9am")
    assert LIMITS["wind_dir_9am"] < wind.distance <= 1
    assert wind.method == "jensenshannon"


def test_too_few_rows_or_readings_are_not_compared(rows: Floats) -> None:
    assert compare(rows[: LEAST_ROWS - 1], rows) == ()
    rare = rows[:LEAST_ROWS].copy()
    rare[MINIMUM_KNOWN - 1 :, INDEX["humidity_3pm"]] = np.nan
    assert [column.field for column in compare(rare, rows)] == ["wind_dir_9am"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pandas.errors.Pandas4Warning")
def test_the_page_shows_what_was_compared(rows: Floats) -> None:
    html = page(rows, rows, compare(rows, rows))
    assert "humidity_3pm" in html
    assert "wind_dir_9am" in html
    assert "temp_9am" not in html
