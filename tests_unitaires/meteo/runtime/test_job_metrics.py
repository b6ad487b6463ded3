from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from meteo.runtime.job_metrics import Reading, job_failed, job_succeeded


def read(folder: Path) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for path in folder.glob("*.prom"):
        for family in text_string_to_metric_families(path.read_text()):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_a_run_leaves_when_it_ended_how_long_it_took_and_what_it_found(tmp_path: Path) -> None:
    drift = [Reading("meteo_drift_share", "Share", share, {"of": side}) for side, share in (("a", 0.25), ("b", 0.5))]
    job_succeeded(tmp_path / "metrics", "monitoring", 12.5, drift)
    found = read(tmp_path / "metrics")
    own = (("job_name", "monitoring"),)
    assert found["meteo_job_duration_seconds"] == {own: 12.5}
    assert found["meteo_drift_share"] == {(("of", "a"),): 0.25, (("of", "b"),): 0.5}


def test_a_failure_leaves_what_the_last_success_said(tmp_path: Path) -> None:
    job_succeeded(tmp_path, "train", 3.0)
    before = read(tmp_path)["meteo_job_last_success_timestamp_seconds"]
    job_failed(tmp_path, "train")
    found = read(tmp_path)
    assert found["meteo_job_last_success_timestamp_seconds"] == before
    assert list(found["meteo_job_last_failure_timestamp_seconds"]) == [(("job_name", "train"),)]


def test_a_run_replaces_what_the_one_before_found(tmp_path: Path) -> None:
    job_succeeded(tmp_path, "monitoring", 1, [Reading("meteo_drift_alarm", "An alarm", 2, {"station": "Perth"})])
    job_succeeded(tmp_path, "monitoring", 1)
    assert "meteo_drift_alarm" not in read(tmp_path)
