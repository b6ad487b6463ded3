"""Which figures break their bounds, and what is measured."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from year_stores import Limit, Plan, broken, limits, measure

from meteo.runtime.settings import Retention

ROWS = "predictions.db: rows of predictions"


def days(count: int, held: Callable[[int], int]) -> list[dict[str, int]]:
    return [{ROWS: held(day)} for day in range(count + 1)]


def test_what_stops_growing_after_its_retention_keeps_to_its_bounds() -> None:
    assert broken(days(30, lambda day: 500 + 100 * min(day, 7)), [Limit(ROWS, 100, keeps=7)]) == {}


def test_what_goes_on_growing_is_named_with_the_day_it_was_worst() -> None:
    found = broken(days(30, lambda day: 100 * day), [Limit(ROWS, 100, keeps=7)])
    assert found == {ROWS: "grew by 3,000 in 30 days, where 700 is the most"}


def test_a_bound_that_is_too_wide_to_be_met_does_not_hide_growth() -> None:
    found = broken(days(30, lambda day: 100 * day), [Limit(ROWS, 1000, keeps=7)])
    assert found == {ROWS: "grew by 1,400 in 14 days and by 3,000 in 30"}


def test_what_comes_on_some_days_only_need_not_level_but_keeps_below_its_bound() -> None:
    late = days(30, lambda day: 5000 if day > 20 else 0)
    assert broken(late, [Limit(ROWS, 1000, keeps=7, even=False)]) == {}
    assert broken(late, [Limit(ROWS, 100, keeps=7, even=False)]) == {
        ROWS: "grew by 5,000 in 21 days, where 700 is the most"
    }


def test_what_was_too_large_only_for_a_while_is_named_too() -> None:
    grown = broken(days(9, lambda day: 5000 if day == 4 else 0), [Limit(ROWS, 100)])
    assert grown == {ROWS: "grew by 5,000 in 4 days, where 400 is the most"}


def test_growth_for_good_is_allowed_where_it_is_stated() -> None:
    growing = days(60, lambda day: 100 * min(day, 7) + 10 * day)
    assert ROWS in broken(growing, [Limit(ROWS, 100, keeps=7)])
    assert broken(growing, [Limit(ROWS, 100, keeps=7, stays=10)]) == {}


def test_what_comes_with_each_training_is_kept_for_so_many_trainings() -> None:
    limit = Limit(ROWS, 1, keeps=3, period=4)
    assert broken(days(30, lambda day: min(day // 4, 3)), [limit]) == {}
    assert ROWS in broken(days(30, lambda day: day // 4), [limit])


@pytest.mark.parametrize("setting", ["predictions_days", "audit_days", "ingestions_days", "monitoring_runs"])
def test_a_shorter_retention_makes_a_bound_lower(setting: str) -> None:
    short, usual = (
        {limit.figure: limit.growth(365) for limit in limits(retention, Plan(1000, 49, 7, 7))}
        for retention in (Retention(**{setting: 7}), Retention())
    )
    assert all(short[figure] <= usual[figure] for figure in usual)
    assert any(short[figure] < usual[figure] for figure in usual)


def test_every_file_belongs_to_a_store_and_every_table_is_counted(tmp_path: Path) -> None:
    for path, size in {"landing/a/1.gz": 10, "landing/b/2.gz": 20, "dvc/.dvc/cache/x": 5, "dvc/dvc.lock": 7,
                       "predictions.db-wal": 3, "mlflow/artifacts/1/page.html": 11, "stray": 1}.items():  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x" * size)
    with closing(sqlite3.connect(tmp_path / "gateway.db")) as connection:
        connection.execute("CREATE TABLE audit (id INTEGER)")
        connection.executemany("INSERT INTO audit VALUES (?)", [(1,), (2,)])
        connection.commit()
    found = measure(tmp_path)
    assert (found["landing: bytes"], found["landing: files"]) == (30, 2)
    assert (found["DVC cache: bytes"], found["DVC workspace: bytes"]) == (5, 7)
    assert (found["predictions.db: bytes"], found["MLflow artifacts: bytes"], found["other: files"]) == (3, 11, 1)
    assert found["gateway.db: rows of audit"] == 2
