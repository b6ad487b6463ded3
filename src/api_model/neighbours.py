"""What the other stations reported on a day, kept until the store changes."""

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from meteo.observation import Observations
from meteo.store import ObservationStore
from meteo.surroundings import Surroundings

FRESH_SECONDS = 1.0
"""The store is asked whether it changed no more often than this; an answer may be as old."""
DAYS_KEPT = 400


class Neighbours:
    def __init__(self, store: ObservationStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._days: dict[date, Surroundings] = {}
        self._state: Any = None
        self._checked = float("-inf")

    def ready(self, day: date) -> bool:
        """Whether `on` answers at once, without asking the store."""
        return day in self._days and self._clock() - self._checked < FRESH_SECONDS

    def on(self, day: date) -> Surroundings:
        """The surroundings of every station on `day`."""
        if self.ready(day):
            return self._days[day]
        with self._lock:
            if self._clock() - self._checked >= FRESH_SECONDS:
                state = self._store.state()
                if state != self._state:
                    self._days, self._state = {}, state
                self._checked = self._clock()
            if day not in self._days:
                found = self._read(day, day)
                kept = list(self._days.items())[-DAYS_KEPT + 1 :]
                self._days = {**dict(kept), day: found}
            return self._days[day]

    def over(self, first: date, last: date) -> Surroundings:
        """The surroundings on all days first..last, read anew."""
        return self.on(first) if first == last else self._read(first, last)

    def rows(self, day: date) -> Observations:
        """What the stations themselves reported on `day`."""
        return self._store.window(day, day)

    def _read(self, first: date, last: date) -> Surroundings:
        return Surroundings.of(self._store.window(first - timedelta(days=1), last))
