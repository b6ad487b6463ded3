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

from meteo.archive.store import ObservationStore
from meteo.errors import NotFound
from meteo.features.neighbours import Matrix, Surroundings
from meteo.observation import Observations, rain_period
from meteo.schemas.forecasts import Period
from meteo.station import station

FRESH_SECONDS = 1.0
"""The store is asked whether it changed no more often than this; an answer may be as old."""
DAYS_KEPT = 400
SPAN_DAYS, GAP_DAYS = 92, 31


@dataclass(frozen=True)
class NeighbourReadings:
    """One station on one day: what the others saw, its row of the surroundings (1, d), how many they were, and what a
    forecast from there covers."""

    others: Matrix
    used: int
    period: Period

    def columns(self, _: NDArray[np.str_], __: NDArray[np.datetime64]) -> Matrix:
        return self.others


def beside(seen: Sequence[NeighbourReadings]) -> NeighbourReadings:
    """The same for several rows, one under the other."""
    if len(seen) == 1:
        return seen[0]
    return NeighbourReadings(np.concatenate([each.others for each in seen]), 0, seen[0].period)


@dataclass
class _Day:
    around: Surroundings
    seen: dict[str, NeighbourReadings]


class Neighbours:
    def __init__(self, store: ObservationStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._days: dict[date, _Day] = {}
        self._newest: date | None = None
        self._state: Any = None
        self._checked = float("-inf")

    def at_hand(self, name: str, day: date) -> NeighbourReadings | None:
        """What `seen` would answer, where that needs no look into the store."""
        known = self._known(day)
        return None if known is None else _seen(known, name, day)

    def on(self, day: date) -> Surroundings:
        """The surroundings of every station on `day`; the same object until what is stored changes."""
        return self._day(day).around

    def seen(self, name: str, day: date) -> NeighbourReadings:
        """What the station `name` knows of the others on `day`."""
        return _seen(self._day(day), name, day)

    def _known(self, day: date) -> _Day | None:
        """The day as it was read, unless the store has to be asked again. It is fetched once: a refresh, in another
        thread, may forget it at any moment."""
        known = self._days.get(day)
        return known if self._clock() - self._checked < FRESH_SECONDS else None

    def _day(self, day: date) -> _Day:
        known = self._known(day)
        if known is not None:
            return known
        with self._lock:
            self._refresh()
            known = self._days.get(day)
            if known is None:
                known = _Day(self._read(day, day), {})
                kept = list(self._days.items())[-DAYS_KEPT + 1 :]
                self._days = {**dict(kept), day: known}
            return known

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


def _seen(known: _Day, name: str, day: date) -> NeighbourReadings:
    readings = known.seen.get(name)
    if readings is None:
        where, when = np.array([name]), np.array([day], "datetime64[D]")
        used = int(known.around.used(where, when)[0])
        readings = known.seen[name] = NeighbourReadings(known.around.columns(where, when), used, period(name, day))
    return readings


@lru_cache(10_000)
def period(name: str, day: date) -> Period:
    """What a forecast made from the row of `day` covers, on the station's clock."""
    start, end = rain_period(day, station(name).zone)
    return Period(start=start, end=end)
