from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ingest.climate_limits import Normal
from ingest.parser import read_file
from ingest.quality_control import Suspicion, check
from meteo.archive.merge import Batch
from meteo.data_contract import PERSISTENT_DAYS
from meteo.observation import FIELDS, Observations

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
    """The two cover different days to 9am: a cold front can put one above the other. It is flagged."""
    assert reasons(rows(("Hobart", "2024-01-01", {"min_temp": 15, "max_temp": 12}))) == []


def test_the_quarantined_row_is_kept_as_it_was_read(rows: Build) -> None:
    kept = check(
        Batch(rows(("Sydney", "2024-01-01", {"humidity_3pm": 400, "wind_dir_9am": "NW"})), "P"), NOON_IN_LONDON
    )
    row = kept.quarantined[0].row
    assert (row["humidity_3pm"], row["wind_dir_9am"], row["rainfall"]) == (400, "NW", None)


def test_every_field_has_its_limits(rows: Build) -> None:
    for field in (field for field in FIELDS if not field.compass):
        for value in (field.low - 1, field.high + 1):
            given = rows(("Sydney", "2024-01-01", {field.name: value}))
            (refused,) = check(Batch(given, "P"), NOON_IN_LONDON).quarantined
            assert refused.fields == [field.name]


def flags(observations: Observations) -> list[tuple[str, str, str]]:
    return [(str(flag.day), flag.field, flag.kind) for flag in Suspicion(Normal())(observations)]


def days(rows: Build, *fields: dict[str, float], station: str = "Sydney", start: int = 1) -> Observations:
    return rows(*((station, f"2024-01-{start + number:02}", given) for number, given in enumerate(fields)))


def test_a_value_out_of_the_stations_climate_is_suspect(rows: Build) -> None:
    assert flags(days(rows, {"rainfall": 40.0})) == []
    assert flags(days(rows, {"rainfall": 400.0})) == [("2024-01-01", "rainfall", "range")]
    frost = {"min_temp": -8.0}
    assert flags(days(rows, frost, station="Sydney")) == [("2024-01-01", "min_temp", "range")]
    assert flags(rows(("MountGinini", "2024-07-01", frost))) == []


def test_a_step_beyond_the_normal_since_the_day_before_is_suspect(rows: Build) -> None:
    assert flags(days(rows, {"pressure_9am": 1000.0}, {"pressure_9am": 1010.0})) == []
    step = days(rows, {"pressure_9am": 995.0}, {"pressure_9am": 1034.0})
    assert flags(step) == [("2024-01-02", "pressure_9am", "step")]
    apart = Observations(step.station, step.day + np.array([0, 1]), step.values)
    assert flags(apart) == []


def test_a_sensor_that_shows_the_same_for_days_is_stuck(rows: Build) -> None:
    same = [{"pressure_3pm": 1011.1}] * PERSISTENT_DAYS
    assert flags(days(rows, *same[1:])) == []
    assert flags(days(rows, *same)) == [(f"2024-01-{PERSISTENT_DAYS:02}", "pressure_3pm", "persistence")]
    broken = [*same[:3], {"pressure_3pm": 1011.2}, *same[:3]]
    assert flags(days(rows, *broken)) == []
    assert flags(days(rows, *[{"humidity_3pm": 100.0}] * 9)) == []
    assert Suspicion.days_back == PERSISTENT_DAYS - 1


@pytest.mark.parametrize(
    ("fields", "suspect"),
    [
        ({"min_temp": 20.0, "max_temp": 19.0}, ["min_temp"]),
        ({"temp_9am": 20.5, "max_temp": 20.0}, []),
        ({"temp_9am": 22.5, "max_temp": 20.0}, ["temp_9am"]),
        ({"wind_speed_3pm": 30.0, "wind_gust_speed": 28.0}, ["wind_speed_3pm"]),
    ],
)
def test_two_fields_in_the_wrong_order_are_suspect(rows: Build, fields: dict[str, float], suspect: list[str]) -> None:
    assert flags(days(rows, fields)) == [("2024-01-01", name, "consistency") for name in suspect]


def test_few_of_the_real_rows_are_suspect(history: Path) -> None:
    """The limits were fitted on these years; a rule that flags a per cent of them would be no news to anyone."""
    everything = read_file(history)
    count = sum(len(Suspicion(Normal())(everything[everything.station == name]))
                for name in np.unique(everything.station))  # fmt: skip
    assert 0 < count < 0.002 * len(everything)
