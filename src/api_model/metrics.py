"""What Prometheus reads off the model API."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from meteo.archive.store import ObservationStore
from meteo.models.bundle import Model
from meteo.runtime import logs
from meteo.schemas.forecasts import Prediction


class ModelMetrics:
    def __init__(self, registry: CollectorRegistry, waiting: Callable[[], int]) -> None:
        """`waiting` says how many groups of answers wait to be written into the log."""
        self._loaded = Gauge("model_loaded", "1 when a model serves", registry=registry)
        queue = Gauge("prediction_log_queue", "Answers that wait to be recorded", registry=registry)
        queue.set_function(waiting)
        self._predictions = Counter(
            "predictions", "Predictions answered", ["station", "rain_tomorrow"], registry=registry
        )
        self._probability = Histogram(
            "prediction_probability",
            "Chance of rain given",
            registry=registry,
            buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        )
        self._version = Gauge("model_version", "The version that serves", ["name"], registry=registry)
        self._trained = Gauge("model_trained_timestamp_seconds", "When the served model was trained", registry=registry)
        self._reload_failures = Counter("model_reload_failures", "Loads of a champion that failed", registry=registry)

    def predicted(self, answer: Prediction) -> None:
        self._predictions.labels(answer.station, str(answer.rain_tomorrow).lower()).inc()
        self._probability.observe(answer.probability)

    def serving(self, name: str, model: Model) -> None:
        self._loaded.set(1)
        self._version.labels(name).set(float(model.version))
        self._trained.set(model.card.trained_at.timestamp())

    def reload_failed(self) -> None:
        self._reload_failures.inc()


class StoreMetrics(Collector):
    """How old the observations are and what waits in quarantine, asked of the store at each scrape."""

    def __init__(self, store: ObservationStore) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Nothing where the store does not answer: a gap that alerts see, beside metrics that stay."""
        newest = GaugeMetricFamily(
            "observation_newest_timestamp_seconds", "The newest day that is stored, 0:00 UTC", labels=["station"]
        )
        quarantined = GaugeMetricFamily("quarantined_rows", "Refused rows", labels=["state"])
        try:
            days, counts = self._store.latest_days(), self._store.quarantine.counts()
        except SQLAlchemyError as error:
            logs.logger().warning("the store cannot be measured", error=str(error))
            return
        for station, day in days.items():
            newest.add_metric([station], datetime.combine(day, time(), UTC).timestamp())
        for state, count in counts.items():
            quarantined.add_metric([state], count)
        yield newest
        yield quarantined
