import errno
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meteo.errors import Conflict
from meteo.models.registry import Registry
from meteo.runtime import job
from meteo.runtime.job_metrics import Reading
from meteo.runtime.settings import Mlflow, Settings

Fail = Callable[[Exception], dict[str, Any]]


pytestmark = pytest.mark.usefixtures("logging_as_before")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture
def fail(settings: Settings, capsys: pytest.CaptureFixture[str]) -> Callable[[Exception], dict[str, Any]]:
    return lambda error: failed(settings, error, capsys)


def failed(settings: Settings, error: Exception, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    def work() -> Mapping[str, Any]:
        raise error

    with pytest.raises(SystemExit) as ended:
        job.run("ingest", settings, work)
    assert ended.value.code == 1
    printed = capsys.readouterr()
    summary: dict[str, Any] = json.loads(printed.out.splitlines()[-1])
    assert (summary["job"], summary["state"]) == ("ingest", "failed")
    assert summary["error"] in printed.err
    return summary


def test_what_was_done_is_the_last_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    job.run("ingest", settings, lambda: {"rows": 3})
    assert json.loads(capsys.readouterr().out) == {"job": "ingest", "state": "success", "rows": 3}


def test_an_error_of_ours_is_its_sentence(fail: Fail) -> None:
    assert fail(Conflict("another ingestion is at work"))["error"] == "another ingestion is at work"


def test_a_full_disk_is_explained(fail: Fail) -> None:
    assert "the disk is full" in fail(OSError(errno.ENOSPC, "No space left on device"))["error"]


def test_a_defect_still_ends_with_a_summary(fail: Fail) -> None:
    assert fail(KeyError("x"))["error"] == "KeyError: 'x'"


def test_metrics_tell_when_a_job_last_ended_well_and_what_it_found(settings: Settings, fail: Fail) -> None:
    before = time.time()
    found = [Reading("meteo_live_brier", "Live", 0.25, {"version": "3"}), Reading("meteo_drift_known", "Known", 1.0)]
    job.run("ingest", settings, lambda: {"rows": 3}, lambda summary: found if summary["rows"] == 3 else [])
    told = values(settings.job_metrics / "ingest.success.prom")
    assert before <= told.pop('meteo_job_last_success_timestamp_seconds{job_name="ingest"}') <= time.time()
    assert 0 <= told.pop('meteo_job_duration_seconds{job_name="ingest"}') < 5
    assert told == {'meteo_live_brier{version="3"}': 0.25, "meteo_drift_known": 1.0}
    fail(KeyError("x"))
    assert values(settings.job_metrics / "ingest.success.prom")['meteo_live_brier{version="3"}'] == 0.25, "it stays"
    (failure,) = values(settings.job_metrics / "ingest.failure.prom")
    assert failure == 'meteo_job_last_failure_timestamp_seconds{job_name="ingest"}'


def values(path: Path) -> dict[str, float]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


@pytest.mark.slow
def test_each_fault_between_jobs_and_mlflow_ends_in_time(
    tmp_path: Path, serve: Callable[[Any], str], fault_proxy: Callable[[str], Any], each_fault: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def mlflow(_: Request) -> Response:
        return JSONResponse({"experiment": {"experiment_id": "1"}})

    proxy = fault_proxy(serve(Starlette(routes=[Route("/{path:path}", mlflow)])))
    proxy.drip_seconds = 0.01
    for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"):
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", "what a job sets is put back")
    settings = Settings(home=tmp_path, mlflow=Mlflow(url=proxy.address, timeout_seconds=1))

    def ask() -> set[int]:
        try:
            job.run("ask", settings, lambda: {"name": MlflowClient(proxy.address).get_experiment_by_name("x")})
        except SystemExit:
            return {503}
        return {200}

    each_fault("jobs → MLflow", proxy, ask)


def test_no_job_tells_the_password_of_mlflow(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRACKING_USERNAME", "TRACKING_PASSWORD", "HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(f"MLFLOW_{name}", "what a job sets is put back")
    secret = "open-sesame-" * 3
    settings = Settings(home=tmp_path, models_secret=SecretStr("m" * 40),
                        mlflow=Mlflow(url="http://127.0.0.1:9", password=SecretStr(secret)))  # fmt: skip
    uri = Registry.of(settings).uri

    with pytest.raises(SystemExit):
        job.run("ask", settings, lambda: {"name": MlflowClient(uri, uri).get_experiment_by_name("x")})
    printed = capfd.readouterr()
    assert "127.0.0.1" in printed.out + printed.err
    assert secret not in printed.out + printed.err


def test_a_job_has_mlflow_report_its_use_to_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    during: dict[str, str] = {}

    def work() -> dict[str, Any]:
        during.update(os.environ)
        return {}

    job.run("ask", Settings(home=tmp_path), work)
    assert during["MLFLOW_DISABLE_TELEMETRY"] == "true"
