import asyncio
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from meteo.database import connect
from meteo.errors import Unavailable
from meteo.prediction_log import PredictionLog, Record, records


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
