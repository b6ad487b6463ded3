"""Whether the newest observations still are what the instruments used to say: one alarm for each fault. Pure numpy.

Every statistic looks at the last WINDOW days of departures (see `departures`) and asks how far they are from the BASE
days before, in units of how far they were from them in the reference. The thresholds are calibrated on quiet real
history (docs/drift.md, `python -m monitoring backtest`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
from numpy.typing import NDArray

from meteo.features.neighbours import great_circle
from meteo.features.station_row import STATIONS
from meteo.observation import BY_NAME, INDEX, NAMES, Floats
from meteo.station import stations
from monitoring.spatial_residuals import CHANNELS, ENOUGH_DAYS, Network, Panel, by_channel, mean

WINDOW = 7
BASE = 60
NEEDED = 4
"""Known days of the window, and …"""
BASE_NEEDED = 20
CLIP = {"pressure": 4.0, "wind": 3.0}
USUAL_CLIP = 2.5
"""What one field of one day may add, in standard deviations: a faulty instrument errs on most days, weather on one."""
ALL = "all stations"
EVERY = "every field"
MANY = 3
"""When more fields than these vanish together, a station is silent: that is one alarm."""
SHIFT, SCATTER, JUMBLE, LEVEL, STUCK, VANISHED = "shift", "scatter", "jumble", "level", "stuck", "vanished"

THRESHOLDS = {
    SHIFT: dict.fromkeys(CHANNELS, 5.0) | {"wind": 5.5, "cloud": 5.5, "pressure": 5.5},
    SCATTER: dict.fromkeys(CHANNELS, 4.5),
    JUMBLE: {EVERY: 4.0},
    LEVEL: dict.fromkeys(CHANNELS, 4.5),
}
"""In standard deviations that the statistic had in the reference. Shift: a channel reads higher or lower than its
neighbours lead to expect. Scatter: it no longer follows them. Jumble: the same over all channels together. Level: the
mean of all stations is not the season's."""

STUCK_DAYS = {"min_temp": 6, "max_temp": 6, "temp_9am": 5, "temp_3pm": 5, "humidity_9am": 6, "humidity_3pm": 6,
              "pressure_9am": 4, "pressure_3pm": 4, "wind_gust_speed": 7}  # fmt: skip
"""So many equal values in a row are no weather. Fields that may rest (rain, cloud, calm, sunshine) are not in it."""
SATURATED = 97
"""Humidity from here on may rest for a week of fog."""

VANISHED_DAYS = 5
VANISHED_SHARE = 0.8
"""A field is missed when it came on so many of the BASE days and on none of the last VANISHED_DAYS."""

_STATISTICS = [(kind, channel) for kind, of in THRESHOLDS.items() if kind != LEVEL for channel in of]
_MOST = np.array([CLIP.get(channel, USUAL_CLIP) for channel, names in CHANNELS.items() for _ in names])
_BOUNDS = np.array([THRESHOLDS[kind][channel] for kind, channel in _STATISTICS])
_LEVELS = np.array(list(THRESHOLDS[LEVEL].values()))


@dataclass(frozen=True)
class Alarm:
    """What is wrong, where, since when; `statistic` is beyond `threshold`: standard deviations, or days for the kinds
    that count days."""

    day: date
    since: date
    station: str
    channel: str
    kind: str
    statistic: float
    threshold: float


@dataclass(frozen=True)
class Beyond:
    """Every statistic of every day as a share of its threshold: `local` (days, stations, _STATISTICS), `level` (days,
    channels), `stuck` and `vanished` (days, stations, fields). 1 and more is an alarm."""

    local: Floats
    level: Floats
    stuck: Floats
    vanished: Floats


class Watch:
    """Looks at observations as a reference period taught it to."""

    def __init__(self, reference: Panel) -> None:
        self._network, departures = Network.fit_transform(reference)
        local, level = self._raw(reference, departures)
        self._local, self._level = _Usual.of(local), _Usual.of(level)

    def look(self, panel: Panel) -> Beyond:
        """At each day of a panel; the first BASE + WINDOW days only serve the others."""
        local, level = self._raw(panel, self._network.departures(panel))
        score = self._local.score(local)
        two_sided = np.array([kind == SHIFT for kind, _ in _STATISTICS])
        score = _foremost(np.where(two_sided, np.abs(score), score) / _BOUNDS)
        return Beyond(score, np.abs(self._level.score(level))[:, 0] / _LEVELS, _stuck(panel), _vanished(panel))

    def alarms(self, panel: Panel) -> list[Alarm] | None:
        """Those of the panel's last day, the gravest first; None when no station's readings could be judged."""
        days, alarms = panel.days, []
        seen = self.look(panel)
        if np.isnan(seen.local[-1]).all():
            return None
        for share, station, channel, kind, threshold in _marks(seen):
            quiet = np.flatnonzero(~(share >= 1))
            since = days[quiet[-1] + 1 if len(quiet) else 0]
            statistic = round(float(share[-1] * threshold), 2)
            alarms.append(Alarm(days[-1].item(), since.item(), station, channel, kind, statistic, float(threshold)))
        return sorted(alarms, key=lambda alarm: -alarm.statistic / alarm.threshold)

    def _raw(self, panel: Panel, departures: Floats) -> tuple[Floats, Floats]:
        """The statistics in no unit yet: (days, stations, _STATISTICS) and (days, 1, channels)."""
        departure = np.clip(departures, -_MOST, _MOST)
        square = by_channel(departure**2)
        anomaly = by_channel(np.clip(self._network.anomalies(panel), -_MOST, _MOST))
        local = [_changed(by_channel(departure)), _grown(square), _grown(mean(square, axis=-1)[..., None])]
        return np.concatenate(local, axis=-1), _changed(mean(anomaly, axis=1)[:, None])


def _marks(seen: Beyond) -> Iterator[tuple[Floats, str, str, str, float]]:
    """What is beyond its threshold on the last day: its shares of all days, station, channel, kind and threshold."""
    for place, index in np.argwhere(seen.local[-1] >= 1):
        kind, channel = _STATISTICS[index]
        yield seen.local[:, place, index], STATIONS[place], channel, kind, _BOUNDS[index]
    for index in np.flatnonzero(seen.level[-1] >= 1):
        yield seen.level[:, index], ALL, list(CHANNELS)[index], LEVEL, _LEVELS[index]
    for place, index in np.argwhere(seen.stuck[-1] >= 1):
        yield seen.stuck[:, place, index], STATIONS[place], NAMES[index], STUCK, STUCK_DAYS[NAMES[index]]
    for place in np.flatnonzero((seen.vanished[-1] >= 1).any(axis=1)):
        gone = np.flatnonzero(seen.vanished[-1, place] >= 1)
        if len(gone) > MANY:
            yield seen.vanished[:, place, gone].min(axis=1), STATIONS[place], EVERY, VANISHED, VANISHED_DAYS
        else:
            for index in gone:
                yield seen.vanished[:, place, index], STATIONS[place], NAMES[index], VANISHED, VANISHED_DAYS


@dataclass(frozen=True)
class _Usual:
    """Mean and spread of a statistic in the reference, (places, statistics)."""

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, raw: Floats) -> "_Usual":
        known = ~np.isnan(raw)
        centre = mean(raw, axis=0)
        spread = np.sqrt(mean((raw - centre) ** 2, axis=0))
        spread = np.where(known.sum(axis=0) >= ENOUGH_DAYS - BASE - WINDOW, spread, np.nan)
        typical = np.array(
            [np.median(column[~np.isnan(column)]) if (~np.isnan(column)).any() else np.nan for column in spread.T]
        )
        return cls(centre, np.maximum(spread, 0.8 * typical))

    def score(self, raw: Floats) -> Floats:
        score: Floats = (raw - self.centre) / self.spread
        return score


def _trailing(values: Floats, days: int) -> tuple[Floats, NDArray[np.intp]]:
    """Sum and count of what is known in the last `days` days, each day included."""
    known = ~np.isnan(values)
    total = np.cumsum(np.where(known, values, 0), axis=0)
    count = np.cumsum(known, axis=0)
    total[days:], count[days:] = total[days:] - total[:-days], count[days:] - count[:-days]
    return total, count


def _compared(values: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """The mean of the window, that of the base before it, and how many days the base knows."""
    total, count = _trailing(values, WINDOW)
    recent = np.where(count >= NEEDED, total, np.nan) / np.maximum(count, 1)
    total, count = _trailing(values, BASE)
    before, days = np.full_like(total, np.nan), np.zeros_like(count)
    before[WINDOW:], days[WINDOW:] = total[:-WINDOW], count[:-WINDOW]
    return recent, np.where(days >= BASE_NEEDED, before, np.nan) / np.maximum(days, 1), days


def _changed(values: Floats) -> Floats:
    recent, before, days = _compared(values)
    change: Floats = recent - before * days / (days + BASE_NEEDED)
    return change


def _grown(squares: Floats) -> Floats:
    recent, before, _ = _compared(squares)
    growth: Floats = np.log(recent + 0.1) - np.log(before + 0.1)
    return growth


def _foremost(share: Floats) -> Floats:
    """A fault shows at its neighbours too, which are compared with it: only the largest of a neighbourhood stays."""
    filled = np.nan_to_num(share)
    largest = filled[:, _nearest()].max(axis=2)
    return np.where(np.isnan(share) | (filled >= largest), share, 0)


@cache
def _nearest(count: int = 6) -> NDArray[np.intp]:
    """The nearest stations of each, (stations, count)."""
    known = [stations()[name] for name in STATIONS]
    latitude, longitude = (np.radians([getattr(place, name) for place in known]) for name in ("latitude", "longitude"))
    distance, _ = great_circle(latitude[:, None], longitude[:, None], latitude, longitude)
    return np.argsort(distance, axis=1)[:, 1 : count + 1]


def _stuck(panel: Panel) -> Floats:
    """How long each field has rested on one value, as a share of how long is too long, (days, stations, fields)."""
    names = list(STUCK_DAYS)
    values = panel.values[..., [INDEX[name] for name in names]]
    run, held = np.zeros(values.shape), np.full(values.shape[1:], np.nan)
    length = np.zeros(values.shape[1:])
    may_rest = np.array([SATURATED if BY_NAME[name].unit == "%" else np.inf for name in names])
    for day, today in enumerate(values):
        known = ~np.isnan(today)
        length = np.where(known, np.where(today == held, length + 1, 1), length)
        held = np.where(known, today, held)
        run[day] = np.where(known & (held < may_rest), length, 0)
    shares = np.zeros_like(panel.values)
    shares[..., [INDEX[name] for name in names]] = run / np.array(list(STUCK_DAYS.values()))
    return shares


def _vanished(panel: Panel) -> Floats:
    """Days since a field that used to come came last, as a share of how long is too long; 0 where it never did."""
    known = ~np.isnan(panel.values)
    days = np.arange(len(panel))[:, None, None]
    last = np.maximum.accumulate(np.where(known, days, -1), axis=0)
    _, count = _trailing(np.where(known, 0.0, np.nan), BASE)
    gone = days - last
    usual = (gone < BASE / 2) & (count >= VANISHED_SHARE * (BASE - gone))
    shares: Floats = np.where((last >= 0) & usual, gone / VANISHED_DAYS, 0.0)
    return shares
