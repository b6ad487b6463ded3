from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from meteo.archive.ingestions import STORED, FileRecord
from meteo.archive.merge import Batch, Quarantined, RowCounts
from meteo.archive.store import Flag, ObservationStore, Review
from meteo.archive.tables import OBSERVATIONS
from meteo.errors import MixedSources
from meteo.observation import NAMES, Observations

Build = Callable[..., Observations]


def put(store: ObservationStore, observations: Observations, product: str = "weatherAUS", source: str = "file",
        review: Review | None = None) -> RowCounts:  # fmt: skip
    run = store.ingestions.begin(source, {})
    changes = store.upsert(
        run.id, FileRecord("a file", STORED, source, "[]", 1), [Batch(observations, product)], review
    )
    store.ingestions.finish(run.id, "success", 0.1, [])
    return changes


def test_what_is_stored_comes_back_the_same(store: ObservationStore, weather: Build) -> None:
    given = weather(stations=("Perth", "Sydney"), days=40)
    assert put(store, given) == RowCounts(new=80)
    back = store.window()
    np.testing.assert_array_equal(back.station, given.station)
    np.testing.assert_array_equal(back.day, given.day)
    np.testing.assert_array_equal(back.values, given.values)


def test_the_same_rows_again_touch_nothing(store: ObservationStore, weather: Build) -> None:
    put(store, weather(days=10))
    with store.engine.connect() as connection:
        before = connection.execute(select(OBSERVATIONS)).all()
    assert put(store, weather(days=10)) == RowCounts(unchanged=20)
    with store.engine.connect() as connection:
        assert connection.execute(select(OBSERVATIONS)).all() == before


def test_a_partial_row_is_completed_later(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"temp_9am": 20.0})))
    change = put(store, rows(("Sydney", "2024-01-01", {"temp_9am": 20.0, "max_temp": 27.5, "wind_gust_dir": "NNW"})))
    assert change == RowCounts(changed=1)
    row = store.window()
    assert (row.column("temp_9am")[0], row.column("max_temp")[0], row.column("wind_gust_dir")[0]) == (20, 27.5, 15)


def test_a_blank_never_overwrites_a_value(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"temp_9am": 20.0, "rainfall": 3.0})))
    assert put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.0}))) == RowCounts(unchanged=1)
    assert store.window().column("temp_9am")[0] == 20


def test_a_correction_leaves_a_revision(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.0, "wind_gust_dir": "N"})))
    put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.4, "wind_gust_dir": "S"})))
    found = [(r["field"], r["old"], r["new"], r["run_id"]) for r in store.revisions("Sydney", date(2024, 1, 1))]
    assert found == [("rainfall", "3", "3.4", 2), ("wind_gust_dir", "N", "S", 2)]


def test_what_was_known_then_has_no_later_correction_in_it(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.0, "wind_gust_dir": "N", "pressure_9am": 1013.4}),
                    ("Sydney", "2024-01-09", {"rainfall": 1.0})))  # fmt: skip
    for rainfall, pressure in ((3.4, 1013.5), (3.6, 1013.6)):
        put(store, rows(("Sydney", "2024-01-01", {
            "rainfall": rainfall, "wind_gust_dir": "S", "pressure_9am": pressure, "max_temp": 25.0})))  # fmt: skip
    then = store.as_known(date(2024, 1, 5))
    assert len(then) == 1
    names = ("rainfall", "wind_gust_dir", "pressure_9am", "max_temp")
    np.testing.assert_array_equal([then.column(name)[0] for name in names], [3.0, 0, 1013.4, np.nan])
    now = store.as_known(datetime.now(UTC).date() + timedelta(days=1))
    np.testing.assert_array_equal(now.values, store.window().values)
    assert not len(store.as_known(date(2023, 1, 1)))


def test_filling_a_gap_leaves_a_revision_from_nothing(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.0})))
    put(store, rows(("Sydney", "2024-01-01", {"max_temp": 25.0})))
    assert [(r["field"], r["old"]) for r in store.revisions("Sydney", date(2024, 1, 1))] == [("max_temp", None)]


def test_a_file_that_fails_half_way_leaves_nothing(store: ObservationStore, weather: Build) -> None:
    def batches() -> Iterator[Batch]:
        yield Batch(weather(days=5), "IDCJDW2124")
        raise OSError("the disk is full")

    run = store.ingestions.begin("file", {})
    with pytest.raises(OSError, match="disk is full"):
        store.upsert(run.id, FileRecord("a file", STORED, "file", "[]", 1), batches())
    assert len(store.window()) == 0
    assert store.ingestions.latest(1)[0]["new"] == 0
    assert store.ingestions.files() == []


def test_simulated_and_real_observations_never_meet(store: ObservationStore, weather: Build) -> None:
    put(store, weather(days=2), source="demo")
    assert store.simulated() is True
    with pytest.raises(MixedSources, match="never share a store"):
        store.ingestions.begin("bom", {})


def test_an_empty_store_is_neither_simulated_nor_real(store: ObservationStore) -> None:
    assert store.simulated() is None
    assert len(store.window()) == 0
    assert store.latest_days() == {}


def test_a_window_is_of_days_and_stations(store: ObservationStore, weather: Build) -> None:
    put(store, weather(start=date(2024, 1, 1), days=10))
    found = store.window(date(2024, 1, 3), date(2024, 1, 4), ["Perth"])
    assert found.station.tolist() == ["Perth", "Perth"]
    assert found.day.tolist() == [date(2024, 1, 3), date(2024, 1, 4)]
    assert store.latest_days() == {"Perth": date(2024, 1, 10), "Sydney": date(2024, 1, 10)}


def test_a_row_knows_the_site_it_was_observed_at(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Adelaide", "2017-01-01", {"temp_9am": 20})))
    put(store, rows(("Adelaide", "2024-01-01", {"temp_9am": 20})), "IDCJDW5081")
    put(store, rows(("Newcastle", "2020-01-01", {"temp_9am": 20})), "IDCJDW2098")
    put(store, rows(("Katherine", "2025-01-01", {"temp_9am": 20})), "IDCJDW8048")
    sites = {day: row["site"] for name in ("Adelaide", "Newcastle", "Katherine")
             for day, row in store.provenance(name, None, None).items()}  # fmt: skip
    assert sites == {date(2017, 1, 1): "023090", date(2024, 1, 1): "023000", date(2020, 1, 1): "061390",
                     date(2025, 1, 1): "014932"}  # fmt: skip


def test_a_row_of_another_site_never_changes_a_stored_one(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Adelaide", "2017-01-01", {"temp_9am": 20})))
    change = put(store, rows(("Adelaide", "2017-01-01", {"temp_9am": 25, "rainfall": 1})), "IDCJDW5081")
    assert change == RowCounts(quarantined=1)
    assert store.window().column("temp_9am").tolist() == [20]
    (refused,) = store.quarantine.rows("waiting", 5)
    assert refused["reason"] == "station: observed at BOM site 023000, while this day is stored from site 023090"


def test_files_of_one_site_under_two_products_are_one_station(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Watsonia", "2024-01-01", {"temp_9am": 20})), "IDCJDW3079")
    assert put(store, rows(("Watsonia", "2024-01-01", {"temp_9am": 21})), "IDCJDW3093") == RowCounts(changed=1)


def test_replacing_takes_blanks_and_sites_as_they_are(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Adelaide", "2017-01-01", {"temp_9am": 20, "rainfall": 3})))
    run = store.ingestions.begin("file", {"replay": 1})
    batch = Batch(rows(("Adelaide", "2017-01-01", {"rainfall": 3})), "IDCJDW5081")
    record = FileRecord("replay", STORED, "file", "[]", 1)
    assert store.upsert(run.id, record, [batch], replace=True) == RowCounts(changed=1)
    assert np.isnan(store.window().column("temp_9am")[0])
    (revision,) = store.revisions("Adelaide", date(2017, 1, 1))
    assert (revision["field"], revision["old"], revision["new"]) == ("temp_9am", "20", None)


class Hot:
    """Flags a 9am temperature that is above 30 two days running."""

    days_back = 1

    def __call__(self, rows: Observations) -> Sequence[Flag]:
        hot = rows.column("temp_9am") > 30
        after = np.diff(rows.day) == np.timedelta64(1, "D")
        return [Flag(str(rows.station[row]), rows.day[row].item(), "temp_9am", "step", "hot")
                for row in range(1, len(rows)) if hot[row] and hot[row - 1] and after[row - 1]]  # fmt: skip


def test_flags_follow_what_is_stored(store: ObservationStore, rows: Build) -> None:
    first = rows(*(("Sydney", f"2024-01-0{day}", {"temp_9am": 35.0}) for day in (1, 2, 4)))
    put(store, first, review=Hot())
    assert [flag.day.day for flag in store.flags("Sydney", None, None)] == [2]
    put(store, rows(("Sydney", "2024-01-03", {"temp_9am": 31.0})), review=Hot())
    assert [flag.day.day for flag in store.flags("Sydney", None, None)] == [2, 3, 4]
    put(store, rows(("Sydney", "2024-01-01", {"temp_9am": 25.0})), review=Hot())
    assert [flag.day.day for flag in store.flags("Sydney", None, None)] == [3, 4]
    assert store.flags("Sydney", date(2024, 1, 5), None) == []
    assert store.flags("Sydney", None, date(2024, 1, 2)) == []


def test_quality_counts_what_is_missing_flagged_and_newest(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Perth", "2024-01-01", {"rainfall": 1}),
                    *(("Sydney", f"2024-01-0{day}", {"temp_9am": 35.0} if day < 3 else {"rainfall": 0})
                      for day in (1, 2, 3))), review=Hot())  # fmt: skip
    perth, sydney = store.quality()
    assert (perth["station"], perth["days"], set(perth["fields"])) == ("Perth", 1, set(NAMES))
    assert sydney["fields"]["temp_9am"] == {"missing": 1, "flagged": 1, "latest": date(2024, 1, 2)}
    assert sydney["fields"]["rainfall"] == {"missing": 2, "flagged": 0, "latest": date(2024, 1, 3)}
    assert sydney["fields"]["sunshine"] == {"missing": 3, "flagged": 0, "latest": None}
    (later,) = store.quality(date(2024, 1, 3), date(2024, 1, 9))
    assert (later["days"], later["fields"]["temp_9am"]["flagged"]) == (1, 0)


def test_a_run_records_its_counts_and_its_refused_rows(store: ObservationStore, weather: Build) -> None:
    run = store.ingestions.begin("file", {"start": None})
    refused = Quarantined("Sydney", date(2024, 1, 1), "humidity_3pm: outside 0 to 100 %", ["humidity_3pm"],
                          {"humidity_3pm": 400})  # fmt: skip
    record = FileRecord("a.csv", STORED, "file", "[]", 1, bytes=10)
    store.upsert(run.id, record, [Batch(weather(days=3), "IDCJDW2124", [refused])])
    store.ingestions.finish(run.id, "success", 1.5, [])
    (ended,) = store.ingestions.latest(5)
    assert (ended["state"], ended["new"], ended["quarantined"], ended["bytes"]) == ("success", 6, 1, 10)
    assert (ended["files"], ended["seconds"]) == (1, 1.5)
    assert ended["finished_at"].tzinfo is not None
    (row,) = store.quarantine.of_run(run.id)
    assert (row["file"], row["reason"], row["row"]) == ("a.csv", refused.reason, {"humidity_3pm": 400})


def test_when_rain_was_first_known_is_told_though_the_row_was_corrected_since(
    store: ObservationStore, rows: Build
) -> None:
    first, second, third = (("Sydney", "2024-01-01", {"temp_9am": 20.0}), ("Sydney", "2024-01-01", {"rainfall": 2.0}),
                            ("Sydney", "2024-01-01", {"rainfall": 3.0}))  # fmt: skip
    times = []
    for row in (first, second, third):
        put(store, rows(row))
        times.append(datetime.now(UTC))
    put(store, rows(("Perth", "2024-01-01", {"rainfall": 0.0}), ("Perth", "2024-01-02", {"temp_9am": 9.0})))
    known = store.rain_known_since(date(2024, 1, 1), date(2024, 1, 2))
    assert set(known) == {("Sydney", date(2024, 1, 1)), ("Perth", date(2024, 1, 1))}
    assert times[0] < known["Sydney", date(2024, 1, 1)] <= times[1], "not when it was corrected"
    assert store.rain_known_since(date(2024, 1, 2), date(2024, 1, 9)) == {}
