"""Drift of one day as a summary: of the observations that arrived and of the inputs that forecasts were asked with."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from meteo.observation import FIELDS, NAMES, Floats, Observations, compass_sector
from meteo.prediction_log import SMOKE_TEST, Record
from meteo.quality import NOT_ENOUGH
from meteo.row import places
from monitoring import report
from monitoring.departures import ENOUGH_DAYS, Panel
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

DRIFT, QUIET = "drift", "quiet"
SEASON = "season"
OF_ONE = (SHIFT, SCATTER, JUMBLE)


@dataclass(frozen=True)
class Side:
    """What was found of one kind of data; `drawn` is Evidently's page, None where there are too few rows for it."""

    verdict: str
    alarms: tuple[Alarm, ...]
    rows: int
    drawn: report.Drawn | None

    @property
    def share(self) -> float:
        """Of the compared fields, how many are beyond their threshold."""
        columns = self.drawn.columns if self.drawn else ()
        return sum(column.drifted for column in columns) / len(columns) if columns else 0.0

    def summary(self) -> dict[str, Any]:
        columns = self.drawn.columns if self.drawn else ()
        return {
            "verdict": self.verdict, "rows": self.rows, "alarms": [asdict(alarm) for alarm in self.alarms],
            "share": self.share, "columns": [{**asdict(column), "drifted": column.drifted} for column in columns],
        }  # fmt: skip


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

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict, "day": self.day.isoformat() if self.day else None, "window_days": WINDOW,
            "observations": self.observations.summary(), "served": self.served.summary(),
        }  # fmt: skip


_NOTHING = Side(NOT_ENOUGH, (), 0, None)


def find(observations: Observations, served: Sequence[Record]) -> Drift:
    """Compare the last WINDOW days with what all but the last BASE + WINDOW taught."""
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
    unusual = _unseasonal(day, arrived.drawn)
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
    return Side(verdict, alarms, len(rows), report.draw(rows, season))


def _unseasonal(day: date, drawn: report.Drawn | None) -> list[Alarm]:
    """Fields whose distribution over all stations is not the season's: the limits are of all stations, so only what
    arrived is judged by them."""
    return [
        Alarm(day, day, ALL, column.field, SEASON, round(column.distance, 3), column.threshold)
        for column in (drawn.columns if drawn else ()) if column.drifted
    ]  # fmt: skip


def _asked(recent: Panel, served: Sequence[Record]) -> Panel:
    """The last WINDOW days as people gave them, the newest of each station-day; before that as they were observed.
    People leave fields out and ask about few places: only what one station's readings say counts as drift of theirs."""
    values: Floats = recent.values.copy()
    values[-WINDOW:] = np.nan
    first = recent.days[-WINDOW].item()
    mine = [
        record for record in served if first <= record.day <= recent.days[-1].item() and record.subject != SMOKE_TEST
    ]
    for record in sorted(mine, key=lambda record: record.made_at):
        row = len(values) - WINDOW + (record.day - first).days
        given = [record.observation.get(name) for name in NAMES]
        values[row, places(np.array([record.station]))[0]] = [
            np.nan if value is None else compass_sector(value) if field.compass else float(value)
            for field, value in zip(FIELDS, given, strict=True)
        ]
    return Panel(recent.first, values)
