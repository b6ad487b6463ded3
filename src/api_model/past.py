"""What was answered before, with what then fell."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
from sqlalchemy import Engine

from meteo.contract import LiveQuality, PastPrediction
from meteo.observation import RAIN_THRESHOLD_MM
from meteo.prediction_log import rainfall_after, records
from meteo.quality import By, forecasts, quality
from meteo.station import station as known_station
from meteo.store import ObservationStore

QUALITY_DAYS = 90


def past_predictions(
    log: Engine, store: ObservationStore, subject: str | None, station: str | None,
    days: tuple[date | None, date | None], limit: int,
) -> list[PastPrediction]:  # fmt: skip
    """The newest predictions first, of one person unless `subject` is None, joined with the next day's rainfall."""
    place = known_station(station).name if station else None
    found = records(log, *days, subject=subject, station=place, newest=limit)
    if not found:
        return []
    after = [record.day + timedelta(days=1) for record in found]
    observed = store.window(min(after), max(after), sorted({record.station for record in found}))
    return [
        PastPrediction(
            prediction_id=record.prediction_id, made_at=record.made_at, username=record.subject,
            station=record.station, date=record.day, observation=dict(record.observation),
            probability=record.probability, rain_tomorrow=record.rain_tomorrow, threshold=record.threshold,
            model_version=record.model_version,
            rainfall=None if np.isnan(amount) else amount,
            rained=None if np.isnan(amount) else bool(amount > RAIN_THRESHOLD_MM),
        )
        for record, amount in zip(found, rainfall_after(found, observed).tolist(), strict=True)
    ]  # fmt: skip


def live_quality(
    log: Engine, store: ObservationStore, days: tuple[date | None, date | None], minimum: int, by: By = "version"
) -> list[LiveQuality]:
    """How each version's served forecasts from the days start..end did, by default of the last QUALITY_DAYS."""
    start, end = days
    if start is None:
        start = (end or datetime.now(UTC).date()) - timedelta(days=QUALITY_DAYS)
    served = forecasts(records(log, start, end), store)
    after = [record.day + timedelta(days=1) for record in served]
    if not after:
        return []
    return [
        LiveQuality(**{**vars(found), "reliability": [row._asdict() for row in found.reliability]})
        for found in quality(served, store.window(min(after), max(after)), minimum, store.wet_days(), by)
    ]
