"""What jobs that end leave for Prometheus: files for the textfile collector of Node Exporter.

A job cannot be scraped once it is gone. Each run replaces its file as a whole; what the last success left stays when a
later run fails.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile


class Reading(NamedTuple):
    """One value of a gauge; all readings of a name bear the same labels and help."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = {}


def job_succeeded(folder: Path, job: str, seconds: float, readings: Iterable[Reading] = ()) -> None:
    """Tell that a run of `job` ended well, after how long, and what it found."""
    own = {"job_name": job}
    _write(
        folder,
        f"{job}.success",
        [
            Reading("meteo_job_last_success_timestamp_seconds", "When a run last ended well", time.time(), own),
            Reading("meteo_job_duration_seconds", "How long that run took", seconds, own),
            *readings,
        ],
    )


def job_failed(folder: Path, job: str) -> None:
    """Tell that a run of `job` failed."""
    reading = Reading(
        "meteo_job_last_failure_timestamp_seconds", "When a run last failed", time.time(), {"job_name": job}
    )
    _write(folder, f"{job}.failure", [reading])


def _write(folder: Path, name: str, readings: Iterable[Reading]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for reading in readings:
        if reading.name not in gauges:
            gauges[reading.name] = Gauge(reading.name, reading.help, list(reading.labels), registry=registry)
        gauge = gauges[reading.name]
        (gauge.labels(**reading.labels) if reading.labels else gauge).set(reading.value)
    write_to_textfile(str(folder / f"{name.replace(' ', '_')}.prom"), registry)
