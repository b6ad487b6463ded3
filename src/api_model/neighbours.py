"""What the other stations reported on a day, kept until the store changes."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meteo.contract import Period
from meteo.errors import NotFound
from meteo.observation import Observations, rain_period
from meteo.station import station
from meteo.store import ObservationStore
from meteo.surroundings import Matrix, Surroundings

FRESH_SECONDS = 1.0
"""The store is asked whether it changed no more often than this; an answer may be as old."""
DAYS_KEPT = 400
SPAN_DAYS, GAP_DAYS = 366, 31


@dataclass(frozen=True)
class Seen:
    """One station on one day: what the others saw, its row of the surroundings (1, d), how many they were, and what a
    forecast from there covers."""

    others: Matrix
    used: int
    period: Period

    def columns(self, _: NDArray[np.str_], __: NDArray[np.datetime64]) -> Matrix:
        return self.others


def beside(seen: Sequence[Seen]) -> Seen:
    """The same for several rows, one under the other."""
    if len(seen) == 1:
        return seen[0]
    return Seen(np.concatenate([each.others for each in seen]), 0, seen[0].period)


@dataclass
class _Day:
    around: Surroundings
    seen: dict[str, Seen]


class Neighbours:
    def __init__(self, store: ObservationStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._days: dict[date, _Day] = {}
        self._newest: date | None = None
        self._state: Any = None
        self._checked = float("-inf")

    def ready(self, day: date) -> bool:
        """Whether `on` and `seen` answer at once, without asking the store."""
        return day in self._days and self._clock() - self._checked < FRESH_SECONDS

    def on(self, day: date) -> Surroundings:
        """The surroundings of every station on `day`; the same object until what is stored changes."""
        return self._day(day).around

    def seen(self, name: str, day: date) -> Seen:
        """What the station `name` knows of the others on `day`."""
        known = self._day(day)
        found = known.seen.get(name)
        if found is None:
            where, when = np.array([name]), np.array([day], "datetime64[D]")
            used = int(known.around.used(where, when)[0])
            found = known.seen[name] = Seen(known.around.columns(where, when), used, period(name, day))
        return found

    def _day(self, day: date) -> _Day:
        if self.ready(day):
            return self._days[day]
        with self._lock:
            self._refresh()
            if day not in self._days:
                found = _Day(self._read(day, day), {})
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

    def along(self, day: NDArray[np.datetime64]) -> Iterator[tuple[NDArray[np.intp], Surroundings]]:
        """Rows (indices into `day`, (n,)) with the surroundings of their days, read anew: days that lie close together
        at a time, so that rows years apart do not fetch the years between."""
        order = np.argsort(day, kind="stable")
        ordered = day[order]
        start = 0
        while start < len(order):
            limit = np.searchsorted(ordered, ordered[start] + SPAN_DAYS)
            gaps = np.flatnonzero(np.diff(ordered[start:limit]) > np.timedelta64(GAP_DAYS, "D"))
            end = start + int(gaps[0]) + 1 if len(gaps) else int(limit)
            first, last = ordered[start].item(), ordered[end - 1].item()
            yield order[start:end], self.on(first) if first == last else self._read(first, last)
            start = end

    def rows(self, day: date) -> Observations:
        """What the stations themselves reported on `day`."""
        return self._store.window(day, day)

    def _read(self, first: date, last: date) -> Surroundings:
        return Surroundings.of(self._store.window(first - timedelta(days=1), last))


@lru_cache(10_000)
def period(name: str, day: date) -> Period:
    """What a forecast made from the row of `day` covers, on the station's clock."""
    start, end = rain_period(day, station(name).zone)
    return Period(start=start, end=end)
