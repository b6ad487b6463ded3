"""Drift of one day as a summary: of the observations that arrived and of the inputs that forecasts were asked with."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from meteo.features.station_row import places
from meteo.forecasts.live_quality import NOT_ENOUGH
from meteo.forecasts.prediction_log import Record
from meteo.observation import FIELDS, NAMES, Floats, Observations, compass_sector
from monitoring import report
from monitoring.drift import (
    ALL,
    BASE,
    JUMBLE,
    SCATTER,
    SHIFT,
    WINDOW,
    Alarm,
    Watch,
)
from monitoring.spatial_residuals import ENOUGH_DAYS, Panel

DRIFT, QUIET = "drift", "quiet"
SEASON = "season"
OF_ONE = (SHIFT, SCATTER, JUMBLE)


@dataclass(frozen=True)
class Side:
    """What was found of one kind of data: `recent` rows compared with those of the `season`, whose `columns` are none
    where there are too few rows."""

    verdict: str
    alarms: tuple[Alarm, ...]
    recent: Floats
    season: Floats
    columns: tuple[report.Column, ...]

    @property
    def share(self) -> float:
        """Of the compared fields, how many are beyond their threshold."""
        return sum(column.drifted for column in self.columns) / len(self.columns) if self.columns else 0.0

    def page(self) -> str | None:
        """Evidently's page; None where nothing was compared."""
        return report.page(self.recent, self.season, self.columns) if self.columns else None

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "rows": len(self.recent),
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "share": self.share,
            "columns": [{**asdict(column), "drifted": column.drifted} for column in self.columns],
        }


@dataclass(frozen=True)
class Drift:
    """Of the newest day with observations, None when there is none."""

    day: date | None
    observations: Side
    served: Side

    @property
    def verdict(self) -> str:
        verdicts = {self.observations.verdict, self.served.verdict}
        return DRIFT if DRIFT in verdicts else self.observations.verdict

    def has_page(self, side: Side, every: int) -> bool:
        """Whether Evidently's page of a side is drawn: when it drifted, and on one day of `every`."""
        return side.verdict == DRIFT or (self.day is not None and self.day.toordinal() % every == 0)

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "day": self.day.isoformat() if self.day else None,
            "window_days": WINDOW,
            "observations": self.observations.summary(),
            "served": self.served.summary(),
        }


_NO_ROWS = np.empty((0, len(NAMES)))
_NOTHING = Side(NOT_ENOUGH, (), _NO_ROWS, _NO_ROWS, ())


def find(observations: Observations, served: Sequence[Record]) -> Drift:
    """Compare the last WINDOW days, as observed and as last `served`, with what all but the last BASE + WINDOW
    taught."""
    if not len(observations):
        return Drift(None, _NOTHING, _NOTHING)
    panel = Panel.of(observations)
    taught = len(panel) - BASE - WINDOW
    if taught < ENOUGH_DAYS:
        return Drift(panel.days[-1].item(), _NOTHING, _NOTHING)
    reference, recent = panel[:taught], panel[max(taught - WINDOW, 0) :]
    watch = Watch(reference)
    day = panel.days[-1].item()
    arrived = _side(watch, reference, recent)
    unusual = _unseasonal(day, arrived.columns)
    if unusual:
        arrived = replace(arrived, verdict=DRIFT, alarms=(*arrived.alarms, *unusual))
    asked = _asked(recent, served)
    if np.isnan(asked.values[-WINDOW:]).all():
        return Drift(day, arrived, _NOTHING)
    return Drift(day, arrived, _side(watch, reference, asked, OF_ONE))


def _side(watch: Watch, reference: Panel, panel: Panel, kinds: Collection[str] | None = None) -> Side:
    found = watch.alarms(panel)
    alarms = tuple(alarm for alarm in found or () if kinds is None or alarm.kind in kinds)
    window = panel.values[-WINDOW:]
    reporting = np.flatnonzero(~np.isnan(window).all(axis=(0, 2)))
    rows = report.known_rows(window)
    season = report.season_rows(reference, panel.days[-WINDOW // 2], reporting)
    verdict = NOT_ENOUGH if found is None else DRIFT if alarms else QUIET
    return Side(verdict, alarms, rows, season, report.compare(rows, season))


def _unseasonal(day: date, columns: Sequence[report.Column]) -> list[Alarm]:
    """Fields whose distribution over all stations is not the season's: the limits are of all stations, so only what
    arrived is judged by them."""
    return [
        Alarm(day, day, ALL, column.field, SEASON, round(column.distance, 3), column.threshold)
        for column in columns
        if column.drifted
    ]


def _asked(recent: Panel, served: Sequence[Record]) -> Panel:
    """The last WINDOW days as people gave them, the newest of each station-day; before that as they were observed.
    People leave fields out and ask about few places: only what one station's readings say counts as drift of theirs."""
    values: Floats = recent.values.copy()
    values[-WINDOW:] = np.nan
    first = recent.days[-WINDOW].item()
    for record in served:
        row = len(values) - WINDOW + (record.day - first).days
        given = [record.observation.get(name) for name in NAMES]
        values[row, places(np.array([record.station]))[0]] = [
            np.nan if value is None else compass_sector(value) if field.compass else float(value)
            for field, value in zip(FIELDS, given, strict=True)
        ]
    return Panel(recent.first, values)
