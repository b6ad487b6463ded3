from collections.abc import Callable, Iterator
from datetime import date

import numpy as np
import pytest
from sqlalchemy import select

from meteo.errors import MixedSources
from meteo.observation import Observations
from meteo.store import OBSERVATIONS, Batch, Changes, ObservationStore, Quarantined

Build = Callable[..., Observations]


def put(store: ObservationStore, observations: Observations, source: str = "file") -> Changes:
    run = store.start_run(source, {})
    return store.upsert(run, source, "a file", [Batch(observations, "IDCJDW2124")])[0]


def test_what_is_stored_comes_back_the_same(store: ObservationStore, weather: Build) -> None:
    given = weather(stations=("Perth", "Sydney"), days=40)
    assert put(store, given) == Changes(new=80)
    back = store.window()
    np.testing.assert_array_equal(back.station, given.station)
    np.testing.assert_array_equal(back.day, given.day)
    np.testing.assert_array_equal(back.values, given.values)


def test_the_same_rows_again_touch_nothing(store: ObservationStore, weather: Build) -> None:
    put(store, weather(days=10))
    with store.engine.connect() as connection:
        before = connection.execute(select(OBSERVATIONS)).all()
    assert put(store, weather(days=10)) == Changes(unchanged=20)
    with store.engine.connect() as connection:
        assert connection.execute(select(OBSERVATIONS)).all() == before


def test_a_partial_row_is_completed_later(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"temp_9am": 20.0})))
    change = put(store, rows(("Sydney", "2024-01-01", {"temp_9am": 20.0, "max_temp": 27.5, "wind_gust_dir": "NNW"})))
    assert change == Changes(changed=1)
    row = store.window()
    assert (row.column("temp_9am")[0], row.column("max_temp")[0], row.column("wind_gust_dir")[0]) == (20, 27.5, 15)


def test_a_blank_never_overwrites_a_value(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"temp_9am": 20.0, "rainfall": 3.0})))
    assert put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.0}))) == Changes(unchanged=1)
    assert store.window().column("temp_9am")[0] == 20


def test_a_correction_leaves_a_revision(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.0, "wind_gust_dir": "N"})))
    put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.4, "wind_gust_dir": "S"})))
    found = [(r["field"], r["old"], r["new"], r["run_id"]) for r in store.revisions("Sydney", date(2024, 1, 1))]
    assert found == [("rainfall", "3", "3.4", 2), ("wind_gust_dir", "N", "S", 2)]


def test_filling_a_gap_leaves_a_revision_from_nothing(store: ObservationStore, rows: Build) -> None:
    put(store, rows(("Sydney", "2024-01-01", {"rainfall": 3.0})))
    put(store, rows(("Sydney", "2024-01-01", {"max_temp": 25.0})))
    assert [(r["field"], r["old"]) for r in store.revisions("Sydney", date(2024, 1, 1))] == [("max_temp", None)]


def test_a_file_that_fails_half_way_leaves_nothing(store: ObservationStore, weather: Build) -> None:
    def batches() -> Iterator[Batch]:
        yield Batch(weather(days=5), "IDCJDW2124")
        raise OSError("the disk is full")

    run = store.start_run("file", {})
    with pytest.raises(OSError, match="disk is full"):
        store.upsert(run, "file", "a file", batches())
    assert len(store.window()) == 0


def test_simulated_and_real_observations_never_meet(store: ObservationStore, weather: Build) -> None:
    put(store, weather(days=2), "demo")
    assert store.simulated() is True
    with pytest.raises(MixedSources, match="never share a store"):
        store.start_run("bom", {})


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


def test_a_run_records_its_counts_and_its_refused_rows(store: ObservationStore, weather: Build) -> None:
    run = store.start_run("file", {"start": None})
    refused = Quarantined("Sydney", date(2024, 1, 1), "humidity_3pm: outside 0 to 100 %", {"humidity_3pm": 400})
    store.upsert(run, "file", "a.csv", [Batch(weather(days=3), "IDCJDW2124", [refused])])
    store.finish_run(run, "success", files=1, size=10, problems=[])
    (record,) = store.runs(5)
    assert (record["state"], record["new"], record["quarantined"], record["bytes"]) == ("success", 6, 1, 10)
    assert record["finished_at"].tzinfo is not None
    (row,) = store.quarantine(run)
    assert (row["file"], row["reason"], row["row"]) == ("a.csv", refused.reason, {"humidity_3pm": 400})
