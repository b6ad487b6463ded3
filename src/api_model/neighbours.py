"""What the other stations reported on a day, kept until the store changes."""

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from meteo.errors import NotFound
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
        self._newest: date | None = None
        self._state: Any = None
        self._checked = float("-inf")

    def ready(self, day: date) -> bool:
        """Whether `on` answers at once, without asking the store."""
        return day in self._days and self._clock() - self._checked < FRESH_SECONDS

    def on(self, day: date) -> Surroundings:
        """The surroundings of every station on `day`; the same object until what is stored changes."""
        if self.ready(day):
            return self._days[day]
        with self._lock:
            self._refresh()
            if day not in self._days:
                found = self._read(day, day)
                kept = list(self._days.items())[-DAYS_KEPT + 1 :]
                self._days = {**dict(kept), day: found}
            return self._days[day]

    def newest(self) -> date:
        """The newest day with observations; NotFound before there are any."""
        with self._lock:
            self._refresh()
            if self._newest is None:
                self._newest = max(self._store.latest_days().values(), default=None)
            if self._newest is None:
                raise NotFound("there are no observations yet")
            return self._newest

    def _refresh(self) -> None:
        """Forget what was read when the store has changed since."""
        if self._clock() - self._checked >= FRESH_SECONDS:
            state = self._store.state()
            if state != self._state:
                self._days, self._state, self._newest = {}, state, None
            self._checked = self._clock()

    def over(self, first: date, last: date) -> Surroundings:
        """The surroundings on all days first..last, read anew."""
        return self.on(first) if first == last else self._read(first, last)

    def rows(self, day: date) -> Observations:
        """What the stations themselves reported on `day`."""
        return self._store.window(day, day)

    def _read(self, first: date, last: date) -> Surroundings:
        return Surroundings.of(self._store.window(first - timedelta(days=1), last))
