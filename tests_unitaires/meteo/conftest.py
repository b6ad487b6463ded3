"""The store on both databases."""

from collections.abc import Iterator

import pytest

from meteo.archive.store import ObservationStore
from meteo.runtime.database import connect


@pytest.fixture
def store(database: str) -> Iterator[ObservationStore]:
    """On SQLite and on PostgreSQL."""
    found = ObservationStore(connect(database))
    found.create()
    yield found
    found.engine.dispose()
