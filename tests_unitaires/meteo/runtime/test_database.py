from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import OperationalError

from meteo.runtime.database import UtcDateTime, connect, writing

TABLE = Table("instants", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    found = connect(f"sqlite:///{tmp_path / 'new folder' / 'a.db'}")
    TABLE.metadata.create_all(found)
    return found


def test_instants_come_back_aware_and_equal(engine: Engine) -> None:
    instant = datetime(2024, 1, 1, 9, tzinfo=timezone(timedelta(hours=9, minutes=30)))
    with writing(engine) as connection:
        connection.execute(insert(TABLE).values(at=instant))
    with engine.connect() as connection:
        found = connection.scalar(select(TABLE.c.at))
    assert found == instant
    assert found is not None
    assert found.tzinfo is UTC


def test_a_reader_is_not_held_up_by_a_writer(engine: Engine) -> None:
    with writing(engine) as writer:
        writer.execute(insert(TABLE).values(at=datetime.now(UTC)))
        with engine.connect() as reader:
            assert reader.execute(select(TABLE)).all() == []


def test_a_writer_takes_the_lock_when_it_begins(engine: Engine) -> None:
    with writing(engine), engine.connect() as other:
        other.execute(text("PRAGMA busy_timeout=0"))
        with pytest.raises(OperationalError, match="locked"):
            other.execute(insert(TABLE).values(at=datetime.now(UTC)))


def test_an_exception_rolls_back(engine: Engine) -> None:
    def fail() -> None:
        with writing(engine) as connection:
            connection.execute(insert(TABLE).values(at=datetime.now(UTC)))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with engine.connect() as connection:
        assert connection.execute(select(TABLE)).all() == []
