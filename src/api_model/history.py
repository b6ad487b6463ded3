"""What was answered before, with what then fell."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine

from meteo.archive.store import ObservationStore
from meteo.forecasts.daily_forecasts import forecasts
from meteo.forecasts.live_quality import By, Climates, quality
from meteo.forecasts.prediction_log import records
from meteo.observation import RAIN_THRESHOLD_MM
from meteo.schemas.forecasts import PastPrediction
from meteo.schemas.models import LiveQuality
from meteo.station import station as known_station

QUALITY_DAYS = 90


def past_predictions(
    log: Engine,
    store: ObservationStore,
    subject: str | None,
    station: str | None,
    days: tuple[date | None, date | None],
    limit: int,
) -> list[PastPrediction]:
    """The newest predictions first, of one person unless `subject` is None, joined with the next day's rainfall."""
    place = known_station(station).name if station else None
    logged = records(log, *days, subject=subject, station=place, newest=limit)
    if not logged:
        return []
    after = [record.day + timedelta(days=1) for record in logged]
    fell = store.rainfall(min(after), max(after), sorted({record.station for record in logged}))
    amounts = [fell.get((record.station, day)) for record, day in zip(logged, after, strict=True)]
    return [
        PastPrediction(
            prediction_id=record.prediction_id,
            made_at=record.made_at,
            username=record.subject,
            station=record.station,
            date=record.day,
            observation=dict(record.observation),
            probability=record.probability,
            rain_tomorrow=record.rain_tomorrow,
            threshold=record.threshold,
            model_version=record.model_version,
            rainfall=amount,
            rained=None if amount is None else amount > RAIN_THRESHOLD_MM,
        )
        for record, amount in zip(logged, amounts, strict=True)
    ]


def live_quality(
    log: Engine,
    store: ObservationStore,
    climates: Climates,
    days: tuple[date | None, date | None],
    minimum: int,
    by: By = "version",
) -> list[LiveQuality]:
    """How each version's served forecasts from the days start..end did, by default of the last QUALITY_DAYS."""
    start, end = days
    if start is None:
        start = (end or datetime.now(UTC).date()) - timedelta(days=QUALITY_DAYS)
    return [
        LiveQuality(**{**vars(found), "reliability": [row._asdict() for row in found.reliability]})
        for found in quality(forecasts(log, store, start, end), minimum, climates, by)
    ]
