"""The store on both databases."""

from collections.abc import Iterator

import pytest

from meteo.database import connect
from meteo.store import ObservationStore


@pytest.fixture
def store(database: str) -> Iterator[ObservationStore]:
    """On SQLite and on PostgreSQL."""
    found = ObservationStore(connect(database))
    found.create()
    yield found
    found.engine.dispose()
