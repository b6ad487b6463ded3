import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from meteo.database import connect, writing
from meteo.errors import Unavailable
from meteo.prediction_log import PredictionLog, Record, forget, records


def record(number: int) -> Record:
    return Record(f"p{number}", datetime.now(UTC), "r", "ann", "Sydney", date(2024, 1, 1), {"humidity_3pm": 80.0}, 0.7,
                  0.3, True, "1")  # fmt: skip


def test_what_was_appended_is_committed_when_append_returns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'predictions.db'}"
    log = PredictionLog(connect(url))
    log.start()

    async def append() -> int:
        await asyncio.gather(*(log.append([record(number)]) for number in range(50)))
        return len(records(connect(url)))

    assert asyncio.run(append()) == 50
    log.stop()
    (first, *_) = records(connect(url), date(2024, 1, 1), date(2024, 1, 1))
    assert first.observation == {"humidity_3pm": 80.0}
    assert first.made_at.tzinfo is not None
    assert records(connect(url), date(2024, 1, 2)) == []


def test_a_prediction_that_cannot_be_recorded_is_not_given(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'predictions.db'}")
    log = PredictionLog(engine)
    log.start()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE predictions"))
    with pytest.raises(Unavailable, match="could not be recorded"):
        asyncio.run(log.append([record(1)]))
    log.stop()


def test_a_few_rows_are_written_at_once_unless_somebody_else_is_writing(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'predictions.db'}")
    log = PredictionLog(engine)
    log.start()
    assert log.now([record(1)])
    assert [found.prediction_id for found in records(engine)] == ["p1"]
    with writing(engine) as other:
        other.execute(text("UPDATE predictions SET subject = 'eve'"))
        assert not log.now([record(2)])
    assert not log.now([record(number) for number in range(100)])
    assert not log.now([record(1)]), "of no use twice; the caller is told by the writer"
    asyncio.run(log.append([record(2)]))
    assert [found.prediction_id for found in records(engine)] == ["p1", "p2"]
    log.stop()
    engine.dispose()


def test_it_writes_on_postgresql_too(postgres: Callable[[], str]) -> None:
    engine = connect(postgres())
    log = PredictionLog(engine)
    log.start()
    assert not log.now([record(1)])
    asyncio.run(log.append([record(number) for number in range(5000)]))
    found = records(engine, station="Sydney", subject="ann", newest=2)
    assert len(records(engine)) == 5000
    assert found[0].observation == {"humidity_3pm": 80.0}
    assert found[0].made_at.tzinfo is not None
    log.stop()
    engine.dispose()


def test_what_is_old_enough_is_forgotten_and_nothing_else(database: str) -> None:
    log = PredictionLog(connect(database))
    log.start()
    now = datetime.now(UTC)
    old, young = (replace(record(number), made_at=now - timedelta(days=days)) for number, days in ((1, 31), (2, 29)))
    asyncio.run(log.append([old, young]))
    assert forget(log.engine, now - timedelta(days=30)) == 1
    assert [found.prediction_id for found in records(log.engine)] == ["p2"]
    assert forget(log.engine, now - timedelta(days=30)) == 0
    log.stop()
    log.engine.dispose()
