"""How often the drift alarms cry on quiet real history, and how soon they see faults put into it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meteo.features.station_row import STATIONS
from meteo.observation import INDEX, Floats
from monitoring.drift import BASE, WINDOW, Beyond, Watch
from monitoring.spatial_residuals import CHANNELS, Panel

EPISODE_GAP = 14
"""Alarms at one station with fewer quiet days between them are one."""
BEFORE = BASE + 2 * WINDOW
KNOWN_SHARE = 0.7

Fault = Callable[[Floats, NDArray[np.intp], np.random.Generator], None]
"""Spoils values (days, stations, fields) in place, at the given stations."""


@dataclass(frozen=True)
class Quiet:
    """Alarm episodes in a period without injected faults: of readings, and of fields that really stopped coming."""

    days: int
    alarms: int
    outages: int
    by_station: dict[str, int]

    @property
    def per_90_days(self) -> float:
        return 90 * self.alarms / self.days


@dataclass(frozen=True)
class Detection:
    """Of `trials` injected faults, how many raised an alarm at their station within WINDOW days, and after how many
    days half of these had."""

    fault: str
    trials: int
    found: int
    median_delay: float | None
    missed: dict[str, int]

    @property
    def rate(self) -> float:
        return self.found / self.trials


def _add_pressure(values: Floats, place: NDArray[np.intp], _: np.random.Generator) -> None:
    values[:, place[0], _of(CHANNELS["pressure"])] += 3.0


def _stick_humidity(values: Floats, place: NDArray[np.intp], _: np.random.Generator) -> None:
    for column in _of(CHANNELS["humidity"]):
        readings = values[:, place[0], column]
        readings[~np.isnan(readings)] = readings[~np.isnan(readings)][0]


def _metres_per_second(values: Floats, place: NDArray[np.intp], _: np.random.Generator) -> None:
    values[:, place[0], _of(CHANNELS["wind"])] /= 3.6


def _vanish(values: Floats, place: NDArray[np.intp], generator: np.random.Generator) -> None:
    known = (~np.isnan(values[:, place[0]])).sum(axis=0)
    values[:, place[0], generator.choice(np.flatnonzero(known == known.max()))] = np.nan


def _dry_gauge(values: Floats, place: NDArray[np.intp], _: np.random.Generator) -> None:
    readings = values[:, place[0], INDEX["rainfall"]]
    readings[~np.isnan(readings)] = 0.0


def _swap(values: Floats, place: NDArray[np.intp], _: np.random.Generator) -> None:
    values[:, place[:2]] = values[:, place[1::-1]]


FAULTS: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "pressure +3 hPa": (_add_pressure, CHANNELS["pressure"]),
    "humidity stuck at one value": (_stick_humidity, CHANNELS["humidity"]),
    "wind in m/s instead of km/h": (_metres_per_second, ("wind_speed_9am", "wind_speed_3pm")),
    "a field vanishes": (_vanish, ("rainfall",)),
    "rain gauge stuck at 0": (_dry_gauge, ("rainfall",)),
    "two stations swapped": (_swap, ("rainfall", "humidity_3pm", "temp_3pm")),
}
"""What is put in, and the fields that its stations must report for it to be there at all."""


def quiet(watch: Watch, panel: Panel, start: np.datetime64, end: np.datetime64) -> Quiet:
    """Every day of start..end looked at as if it were the last."""
    first = int((start - panel.first).astype(int))
    days = int((end - start).astype(int)) + 1
    seen = watch.look(panel[max(first - BEFORE, 0) : first + days])
    cried, gone = _cries(seen)
    episodes = {name: _episodes(cried[-days:, place]) for place, name in enumerate(STATIONS)}
    level = _episodes(np.any(seen.level[-days:] >= 1, axis=1))
    return Quiet(
        days,
        sum(episodes.values()) + level,
        sum(_episodes(gone[-days:, place]) for place in range(len(STATIONS))),
        {name: count for name, count in episodes.items() if count},
    )


def detections(
    watch: Watch,
    panel: Panel,
    start: np.datetime64,
    trials: int,
    seed: int = 0,
    faults: tuple[str, ...] = tuple(FAULTS),
) -> Iterator[Detection]:
    """Each fault put `trials` times at stations and days drawn from `start` on."""
    first = int((start - panel.first).astype(int))
    for name in faults:
        generator = np.random.default_rng(seed)
        spoil, needed = FAULTS[name]
        delays: list[int] = []
        missed: dict[str, int] = {}
        for _ in range(trials):
            place, day = _drawn(panel, first, _of(needed), generator)
            delay = _delay(watch, panel, place[: 2 if spoil is _swap else 1], day, spoil, generator)
            if delay is None:
                missed[STATIONS[place[0]]] = missed.get(STATIONS[place[0]], 0) + 1
            else:
                delays.append(delay)
        yield Detection(
            name,
            trials,
            len(delays),
            float(np.median(delays)) if delays else None,
            dict(sorted(missed.items(), key=lambda item: -item[1])),
        )


def _drawn(panel: Panel, first: int, needed: list[int], generator: np.random.Generator) -> tuple[NDArray[np.intp], int]:
    """Stations that report and a day to begin on."""
    while True:
        day = int(generator.integers(first, len(panel) - WINDOW))
        known = ~np.isnan(panel.values[day - BASE : day + WINDOW][..., needed])
        reporting = np.flatnonzero((known.mean(axis=0) >= KNOWN_SHARE).all(axis=1) & known[-WINDOW:].any(axis=(0, 2)))
        if len(reporting) >= 2:
            return generator.choice(reporting, 2, replace=False), day


def _delay(
    watch: Watch, panel: Panel, place: NDArray[np.intp], day: int, spoil: Fault, generator: np.random.Generator
) -> int | None:
    """On which day of the fault one of its stations cried that would not have done so anyway."""
    sound = panel[day - BEFORE : day + WINDOW]
    spoilt = sound.values.copy()
    spoil(spoilt[-WINDOW:], place, generator)
    before, after = (
        np.logical_or(*_cries(watch.look(each)))[-WINDOW:, place].any(axis=1)
        for each in (sound, Panel(sound.first, spoilt))
    )
    cried = np.flatnonzero(after & ~before)
    return int(cried[0]) + 1 if len(cried) else None


def _cries(seen: Beyond) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each station has an alarm of its readings, and one of a field gone, (days, stations)."""
    local, stuck, gone = (np.any(of >= 1, axis=2) for of in (seen.local, seen.stuck, seen.vanished))
    return local | stuck, gone


def _episodes(cried: NDArray[np.bool_]) -> int:
    days = np.flatnonzero(cried)
    return int(1 + (np.diff(days) > EPISODE_GAP).sum()) if len(days) else 0


def _of(names: tuple[str, ...]) -> list[int]:
    return [INDEX[name] for name in names]
