from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ingest.checks import check
from meteo.observation import Observations
from meteo.store import Batch

Build = Callable[..., Observations]
NOON_IN_LONDON = datetime(2024, 6, 1, 15, tzinfo=UTC)


def reasons(observations: Observations) -> list[str]:
    return [refused.reason for refused in check(Batch(observations, "P"), NOON_IN_LONDON).quarantined]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"humidity_3pm": 101}, "humidity_3pm: outside 0 to 100 %"),
        ({"temp_9am": 293.15}, "temp_9am: outside -35 to 56 °C"),
        ({"pressure_9am": 101_325}, "pressure_9am: outside 870 to 1085 hPa"),
        ({"rainfall": -0.2}, "rainfall: outside 0 to 1200 mm"),
    ],
)
def test_what_cannot_be_is_quarantined_with_the_reason(rows: Build, fields: dict[str, float], reason: str) -> None:
    assert reasons(rows(("Sydney", "2024-01-01", fields))) == [reason]


def test_a_day_to_come_at_the_station_is_quarantined(rows: Build) -> None:
    given = rows(("Sydney", "2024-06-02", {"temp_9am": 9}), ("Perth", "2024-06-02", {"temp_9am": 9}))
    kept = check(Batch(given, "P"), NOON_IN_LONDON)
    assert kept.observations.station.tolist() == ["Sydney"]
    assert [refused.station for refused in kept.quarantined] == ["Perth"]
    assert kept.quarantined[0].reason == "date: has not come yet at the station"


def test_rows_that_repeat_exactly_count_once(rows: Build) -> None:
    twice = rows(*[("Sydney", "2024-01-01", {"temp_9am": 20})] * 3)
    kept = check(Batch(twice, "P"), NOON_IN_LONDON)
    assert (len(kept.observations), len(kept.quarantined)) == (1, 0)


def test_rows_of_one_day_that_disagree_are_all_quarantined(rows: Build) -> None:
    given = rows(("Sydney", "2024-01-01", {"temp_9am": 20}), ("Sydney", "2024-01-02", {"temp_9am": 20}),
                 ("Sydney", "2024-01-01", {"temp_9am": 21}))  # fmt: skip
    kept = check(Batch(given, "P"), NOON_IN_LONDON)
    assert [str(day) for day in kept.observations.day] == ["2024-01-02"]
    assert len(kept.quarantined) == 2


def test_a_minimum_above_the_maximum_is_kept(rows: Build) -> None:
    """The two cover different days to 9am: a cold front can put one above the other."""
    assert reasons(rows(("Hobart", "2024-01-01", {"min_temp": 15, "max_temp": 12}))) == []


def test_the_quarantined_row_is_kept_as_it_was_read(rows: Build) -> None:
    kept = check(
        Batch(rows(("Sydney", "2024-01-01", {"humidity_3pm": 400, "wind_dir_9am": "NW"})), "P"), NOON_IN_LONDON
    )
    row = kept.quarantined[0].row
    assert (row["humidity_3pm"], row["wind_dir_9am"], row["rainfall"]) == (400, "NW", None)
