from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from meteo.archive.merge import Batch, Merged, Quarantined, RowCounts, merge
from meteo.archive.store import ObservationStore
from meteo.archive.tables import OBSERVATIONS
from meteo.observation import Observations
from meteo.runtime.database import connect, writing

Build = Callable[..., Observations]
REFUSED = Quarantined("Sydney", None, "date: unreadable", ["date"], {"rainfall": 1.0})


@pytest.fixture
def archive(database: str) -> Iterator[ObservationStore]:
    archive = ObservationStore(connect(database))
    archive.create()
    yield archive
    archive.engine.dispose()


def put(archive: ObservationStore, observations: Observations, product: str = "weatherAUS", *refused: Quarantined,
        replace: bool | None = None) -> Merged:  # fmt: skip
    run = archive.ingestions.begin("file", {})
    options = {} if replace is None else {"replace": replace}
    with writing(archive.engine) as connection:
        merged = merge(connection, Batch(observations, product, refused), run.id, "file", **options)
    archive.ingestions.finish(run.id, "success", 0.1, [])
    return merged


def temperatures(archive: ObservationStore) -> dict[tuple[str, date], float]:
    columns = (OBSERVATIONS.c.station, OBSERVATIONS.c.day, OBSERVATIONS.c.temp_9am)
    with archive.engine.connect() as connection:
        return {(place, day): value for place, day, value in connection.execute(select(*columns))}


def test_a_correction_changes_its_own_row_and_no_other(archive: ObservationStore, rows: Build) -> None:
    put(archive, rows(("Perth", "2024-01-01", {"temp_9am": 30}), ("Sydney", "2024-01-01", {"temp_9am": 20}),
                      ("Sydney", "2024-01-02", {"temp_9am": 21})))  # fmt: skip
    assert put(archive, rows(("Sydney", "2024-01-01", {"temp_9am": 19}))).changes == RowCounts(changed=1)
    assert temperatures(archive) == {
        ("Perth", date(2024, 1, 1)): 30, ("Sydney", date(2024, 1, 1)): 19, ("Sydney", date(2024, 1, 2)): 21,
    }  # fmt: skip


def test_what_is_new_or_changed_is_told_as_it_was_given(archive: ObservationStore, rows: Build) -> None:
    put(archive, rows(("Sydney", "2024-01-01", {"temp_9am": 20}), ("Sydney", "2024-01-02", {"temp_9am": 21})))
    merged = put(archive, rows(("Sydney", "2024-01-01", {"temp_9am": 20}), ("Sydney", "2024-01-02", {"temp_9am": 22}),
                               ("Sydney", "2024-01-03", {"temp_9am": 23})))  # fmt: skip
    assert merged.changes == RowCounts(new=1, changed=1, unchanged=1)
    assert merged.touched.day.tolist() == [date(2024, 1, 2), date(2024, 1, 3)]


def test_a_batch_of_refused_rows_alone_still_tells_of_them(archive: ObservationStore) -> None:
    merged = put(archive, Observations.empty(), "weatherAUS", REFUSED)
    assert (merged.changes, len(merged.touched), list(merged.refused)) == (RowCounts(quarantined=1), 0, [REFUSED])


def test_a_row_of_another_site_is_refused_with_the_row_and_the_field(archive: ObservationStore, rows: Build) -> None:
    put(archive, rows(("Adelaide", "2017-01-01", {"temp_9am": 20}), ("Adelaide", "2017-01-02", {"temp_9am": 20})))
    moved = rows(("Adelaide", "2017-01-01", {"temp_9am": 25}), ("Adelaide", "2017-01-02", {"temp_9am": 26}))
    merged = put(archive, moved, "IDCJDW5081")
    assert merged.changes == RowCounts(quarantined=2)
    assert [(each.day, each.fields, each.row["temp_9am"]) for each in merged.refused] == [
        (date(2017, 1, 1), ["station"], 25), (date(2017, 1, 2), ["station"], 26),
    ]  # fmt: skip
    assert set(temperatures(archive).values()) == {20}


def test_only_a_replacement_moves_a_day_to_another_site(archive: ObservationStore, rows: Build) -> None:
    put(archive, rows(("Adelaide", "2017-01-01", {"temp_9am": 20})))
    moved = rows(("Adelaide", "2017-01-01", {"temp_9am": 25}))
    assert put(archive, moved, "IDCJDW5081").changes == RowCounts(quarantined=1)
    assert put(archive, moved, "IDCJDW5081", replace=True).changes == RowCounts(changed=1)
    assert archive.provenance("Adelaide", None, None)[date(2017, 1, 1)]["site"] == "023000"


def test_a_day_knows_the_instant_it_was_changed(archive: ObservationStore, rows: Build) -> None:
    put(archive, rows(("Sydney", "2024-01-01", {"temp_9am": 20})))
    changed_at = archive.provenance("Sydney", None, None)[date(2024, 1, 1)]["changed_at"]
    assert timedelta(0) <= datetime.now(UTC) - changed_at < timedelta(minutes=1)
