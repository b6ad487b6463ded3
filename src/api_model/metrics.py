"""What Prometheus reads off the model API."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from meteo.contract import Prediction
from meteo.model import Model


class ModelMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._predictions = Counter(
            "predictions", "Predictions answered", ["station", "rain_tomorrow"], registry=registry
        )
        self._probability = Histogram(
            "prediction_probability", "Chance of rain given", registry=registry,
            buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        )  # fmt: skip
        self._version = Gauge("model_version", "The version that serves", ["name"], registry=registry)
        self._trained = Gauge("model_trained_timestamp_seconds", "When the served model was trained", registry=registry)
        self._reload_failures = Counter("model_reload_failures", "Loads of a champion that failed", registry=registry)

    def predicted(self, answer: Prediction) -> None:
        self._predictions.labels(answer.station, str(answer.rain_tomorrow).lower()).inc()
        self._probability.observe(answer.probability)

    def serving(self, name: str, model: Model) -> None:
        self._version.labels(name).set(float(model.version))
        self._trained.set(model.card.trained_at.timestamp())

    def reload_failed(self) -> None:
        self._reload_failures.inc()
