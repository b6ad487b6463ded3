import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from meteo.errors import Unavailable
from meteo.forecasts.prediction_log import SMOKE_TEST, PredictionLog, Record, newest_inputs, records
from meteo.runtime.database import connect, writing


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


def test_a_row_waits_for_a_locked_file_without_holding_the_event_loop(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'predictions.db'}")
    log = PredictionLog(engine)
    log.start()

    async def while_another_writes() -> bool:
        with writing(engine) as other:
            other.execute(text("DELETE FROM predictions"))
            written = asyncio.ensure_future(log.append([record(1)]))
            done, _ = await asyncio.wait([written], timeout=0.2)
        await written
        return bool(done)

    assert not asyncio.run(while_another_writes())
    assert [found.prediction_id for found in records(engine)] == ["p1"]
    log.stop()
    engine.dispose()


def test_it_writes_on_postgresql_too(postgres: Callable[[], str]) -> None:
    engine = connect(postgres())
    log = PredictionLog(engine)
    log.start()
    asyncio.run(log.append([record(number) for number in range(5000)]))
    found = records(engine, station="Sydney", subject="ann", newest=2)
    assert len(records(engine)) == 5000
    assert found[0].observation == {"humidity_3pm": 80.0}
    assert found[0].made_at.tzinfo is not None
    log.stop()
    engine.dispose()


def test_the_newest_inputs_are_of_each_station_day_and_peoples(database: str) -> None:
    log = PredictionLog(connect(database))
    log.start()
    now = datetime.now(UTC)
    asked = [
        replace(record(1), made_at=now), replace(record(2), made_at=now - timedelta(hours=1)),
        replace(record(3), made_at=now + timedelta(hours=1), subject=SMOKE_TEST), replace(record(4), station="Perth"),
        replace(record(5), day=date(2024, 1, 2)), replace(record(6), day=date(2024, 1, 3)),
    ]  # fmt: skip
    asyncio.run(log.append(asked))
    found = newest_inputs(log.engine, date(2024, 1, 1), date(2024, 1, 2))
    assert sorted(known.prediction_id for known in found) == ["p1", "p4", "p5"]
    log.stop()
    log.engine.dispose()
