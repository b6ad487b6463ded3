import threading
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from api_model.neighbour_cache import FRESH_SECONDS, Neighbours
from meteo.archive.store import ObservationStore
from meteo.observation import Observations

Build = Callable[..., Observations]
Put = Callable[[ObservationStore, Observations], None]
DAY = date(2024, 1, 2)
SYDNEY = np.array(["Sydney"]), np.array([DAY], "datetime64[D]")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_store_is_read_once_until_it_changes(
    put: Put, store: ObservationStore, rows: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, rows(("Penrith", "2024-01-02", {"rainfall": 1.0})))
    clock, read = Clock(), 0
    neighbours = Neighbours(store, clock)
    window = store.window

    def counted(start: date, end: date) -> Observations:
        nonlocal read
        read += 1
        return window(start, end)

    monkeypatch.setattr(store, "window", counted)
    assert neighbours.at_hand("Sydney", DAY) is None
    assert neighbours.on(DAY).used(*SYDNEY).tolist() == [1]
    assert neighbours.at_hand("Sydney", DAY) is neighbours.seen("Sydney", DAY)
    put(store, rows(("Newcastle", "2024-01-02", {"rainfall": 2.0})))
    assert neighbours.on(DAY).used(*SYDNEY).tolist() == [1]
    clock.now += FRESH_SECONDS
    assert neighbours.at_hand("Sydney", DAY) is None
    assert neighbours.on(DAY).used(*SYDNEY).tolist() == [2]
    clock.now += FRESH_SECONDS
    neighbours.on(DAY)
    assert read == 2


def test_yesterday_is_part_of_a_days_surroundings(put: Put, store: ObservationStore, rows: Build) -> None:
    put(
        store,
        rows(("Penrith", "2024-01-01", {"pressure_3pm": 1000.0}), ("Penrith", "2024-01-02", {"pressure_3pm": 1007.0})),
    )
    found = Neighbours(store).on(DAY).columns(*SYDNEY)
    assert 7.0 in found[0]


@pytest.mark.parametrize(
    "read", [lambda known: known.on(DAY).used(*SYDNEY)[0], lambda known: known.seen("Sydney", DAY).used]
)
def test_a_day_that_is_being_read_is_not_taken_away_by_a_refresh(
    put: Put, store: ObservationStore, rows: Build, read: Callable[[Neighbours], int]
) -> None:
    """Between the reader's look at the clock and its next step another thread sees that the store has changed."""
    put(store, rows(("Penrith", "2024-01-02", {"rainfall": 1.0})))
    now, armed = 0.0, threading.Event()

    def clock() -> float:
        nonlocal now
        looked_at = now
        if armed.is_set():
            armed.clear()
            now += FRESH_SECONDS
            refresh = threading.Thread(target=neighbours.newest)
            refresh.start()
            refresh.join()
        return looked_at

    neighbours = Neighbours(store, clock)
    assert read(neighbours) == 1
    put(store, rows(("Newcastle", "2024-01-02", {"rainfall": 2.0})))
    armed.set()
    assert read(neighbours) == 1, "as it was when it was looked at"
    assert not armed.is_set()
    assert read(neighbours) == 2
