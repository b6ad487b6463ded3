"""The pipelines on the real Airflow, steered through the gateway: each DAG, a task that is killed, a challenger that is
refused, and two weeks of days in which an instrument fails and the real Alertmanager mails about it."""

import email
import email.policy
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from aiosmtpd.controller import Controller

with socket.create_server(("127.0.0.1", 0)) as probe:
    MAIL_PORT = probe.getsockname()[1]

POSTGRESQL = True
UNMEASURED = True
UP = ("--observability", "1")
BEHIND = 17
LEAVES = 2
"""The days of the two weeks go by until so many are left."""
THROUGH_AIRFLOW = (BEHIND - 1, LEAVES + 8, LEAVES + 1)
"""The days whose pipelines Airflow runs; on the others their commands are run one after the other."""
FAILS_BEHIND = 11
"""The wind gauge of FAILING writes m/s from so many days before today on."""
FAILING = "Watsonia"
DASHBOARDS = Path(__file__).resolve().parents[2] / "deploy/observability/grafana/dashboards"
SETTINGS = {
    "METEO_INGEST__DEMO_DAYS_BEHIND": str(BEHIND), "RETRY_SECONDS": "2", "METEO_MONITORING__MINIMUM_OUTCOMES": "30",
    "METEO_MONITORING__COOLDOWN_DAYS": "0", "METEO_PROMETHEUS__SCRAPE_SECONDS": "2",
    "METEO_ALERTS__TO": "operator@weather.example", "METEO_ALERTS__SMARTHOST": f"127.0.0.1:{MAIL_PORT}",
    "METEO_ALERTS__REQUIRE_TLS": "false",
}  # fmt: skip
PIPELINE_SECONDS = 600
PLACES = ["Sydney", "Perth", "Darwin", "Hobart", "Cairns"]
TASKS = ["preprocess", "train", "promote", "reload", "smoke"]


@pytest.fixture(scope="module", autouse=True)
def mails() -> Iterator[list[email.message.EmailMessage]]:
    """What a mail server received."""
    if not shutil.which("prometheus"):
        pytest.skip("needs Debian's prometheus, prometheus-alertmanager and prometheus-node-exporter")
    received: list[email.message.EmailMessage] = []

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            received.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=MAIL_PORT)
    controller.start()
    yield received
    controller.stop()


@pytest.fixture(scope="module")
def admin(system: Any) -> Iterator[httpx.Client]:
    with system.client("admin") as client:
        yield client


def read(admin: httpx.Client, path: str, **params: Any) -> Any:
    """What is answered, asked again while a service behind is too busy to answer in time."""

    def answered() -> httpx.Response | None:
        answer = admin.get(path, params=params)
        return None if answer.status_code == 503 else answer

    return wait_for(answered).raise_for_status().json()


def finished(admin: httpx.Client, dag: str, run_id: str) -> dict[str, Any]:
    """The run with its tasks, once it has ended."""
    deadline = time.monotonic() + PIPELINE_SECONDS
    while True:
        run: dict[str, Any] = read(admin, f"/admin/runs/{dag}/{run_id}")
        if run["state"] in ("success", "failed"):
            return run
        assert time.monotonic() < deadline, run
        time.sleep(0.5)


def launched(admin: httpx.Client, dag: str, **asked: Any) -> str:
    answer = admin.post(f"/admin/{dag}", json=asked)
    assert answer.status_code == 202, answer.text
    run_id: str = answer.json()["run_id"]
    return run_id


def runs(admin: httpx.Client, dag: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(admin, "/admin/runs", dag=dag, limit=100)
    return found


def aliases(admin: httpx.Client) -> dict[str, str]:
    models = admin.get("/admin/models").raise_for_status().json()
    return {alias: model["version"] for model in models for alias in model["aliases"]}


def explained(admin: httpx.Client, run: dict[str, Any]) -> str:
    """The end of the logs of what failed."""
    failed = [task["task"] for task in run["tasks"] if task["state"] == "failed"]
    return "\n".join(
        admin.get(f"/admin/runs/{run['dag']}/{run['run_id']}/tasks/{task}/log").text[-2000:] for task in failed
    )


def forecast_newest(admin: httpx.Client, places: list[str]) -> list[dict[str, Any]]:
    """Ask for tomorrow with each place's newest day, of which nobody knows yet what follows."""
    rows = []
    for place in places:
        day = admin.get(f"/stations/{place}/observations").raise_for_status().json()[-1]
        known = {name: value for name, value in day["observation"].items() if value is not None}
        rows.append({"station": place, "date": day["date"], "observation": known})
    answers: list[dict[str, Any]] = admin.post("/predict/batch", json=rows).raise_for_status().json()
    return answers


def served(admin: httpx.Client) -> str:
    version: str = admin.get("/model").raise_for_status().json()["version"]
    return version


def test_two_weeks_of_days_pass_and_every_forecast_meets_its_outcome(system: Any, admin: httpx.Client) -> None:
    demo = system.environment["METEO_INGEST__DEMO_URL"]
    asked: dict[str, tuple[str, str]] = {}
    failed_on = (datetime.now(UTC) - timedelta(days=FAILS_BEHIND)).date()
    winds = ["wind_gust_speed", "wind_speed_9am", "wind_speed_3pm"]
    fault = {"station": FAILING, "fields": winds, "start": failed_on.isoformat(), "factor": 1 / 3.6}
    httpx.put(f"{demo}/faults", json=[fault], trust_env=False, timeout=60).raise_for_status()
    for behind in range(BEHIND - 1, LEAVES, -1):
        httpx.put(f"{demo}/clock", json={"days_behind": behind}, trust_env=False, timeout=60).raise_for_status()
        if behind in THROUGH_AIRFLOW:
            before = len(runs(admin, "monitoring"))
            run = finished(admin, "ingestion", launched(admin, "ingestion"))
            assert run["state"] == "success", explained(admin, run)
            ingested = run["tasks"][0]["summary"]
        else:
            ingested = json.loads(command(system, "-m", "ingest"))
        assert ingested["quarantined"] == 0
        for answer in forecast_newest(admin, PLACES):
            asked[answer["prediction_id"]] = (answer["station"], answer["date"])
        if behind == LEAVES + 8:
            weekly = finished(admin, "training", launched(admin, "training"))
            assert weekly["state"] == "success", explained(admin, weekly)
        if behind in THROUGH_AIRFLOW:
            newest = wait_for(lambda before=before: runs(admin, "monitoring")[: -before or None] or None)[0]
            monitored = finished(admin, "monitoring", newest["run_id"])
            assert monitored["state"] == "success", explained(admin, monitored)
        else:
            command(system, "-m", "monitoring")
    days = BEHIND - 1 - LEAVES
    assert (days, len(asked)) == (14, 14 * len(PLACES))
    past = admin.get("/predictions", params={"limit": 500}).json()
    known = {entry["prediction_id"]: entry for entry in past}
    for prediction, (place, day) in asked.items():
        entry = known[prediction]
        after = (datetime.fromisoformat(day) + timedelta(days=1)).date().isoformat()
        stored = admin.get(f"/stations/{place}/observations", params={"start": after, "end": after}).json()
        fell = stored[0]["observation"].get("rainfall") if stored else None
        assert entry["rainfall"] == fell, (place, day)
        assert entry["rained"] == (None if fell is None else fell > 1.0)
    outcomes = sum(known[prediction]["rained"] is not None for prediction in asked)
    assert outcomes >= (days - 2) * len(PLACES) * 0.8
    summary = next(task["summary"] for task in monitored["tasks"] if task["task"] == "monitor")
    assert sum(scores["outcomes"] for scores in summary["quality"]) >= outcomes
    assert "outcomes" in summary["retrain"]["reason"]


def test_a_failing_instrument_is_reported_within_a_week_and_alarmed_of(system: Any, admin: httpx.Client) -> None:
    failed_on = (datetime.now(UTC) - timedelta(days=FAILS_BEHIND)).date()
    reports = admin.get("/admin/drift").raise_for_status().json()
    assert len(reports) >= 14
    seen = None
    for report in reversed(reports):
        found = admin.get(f"/admin/drift/{report['id']}").raise_for_status().json()["observations"]["alarms"]
        seen = seen or next(
            (alarm for alarm in found if (alarm["station"], alarm["channel"]) == (FAILING, "wind")), None
        )
    assert seen is not None, reports
    assert {report["verdict"] for report in reports} <= {"quiet", "drift"}
    assert failed_on.isoformat() <= seen["day"] <= (failed_on + timedelta(days=6)).isoformat(), "within the week"
    page = admin.get(f"/admin/drift/{reports[0]['id']}/report")
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert "wind_speed_3pm" in page.text
    alert = wait_for(lambda: next(iter(alerts(system, "Drift", station=FAILING, channel="wind")), None))
    assert alert["labels"]["since"] == seen["since"] or alert["labels"]["since"] >= failed_on.isoformat()


def test_prometheus_scrapes_every_part_and_hears_of_the_jobs(system: Any) -> None:
    assert all(point["value"][1] == "1" for point in asked(system, "up"))
    assert {point["metric"]["job"] for point in asked(system, "up")} == {
        "gateway", "api_model", "console", "node", "prometheus", "alertmanager",
    }  # fmt: skip
    jobs = {point["metric"]["job_name"] for point in asked(system, "meteo_job_last_success_timestamp_seconds")}
    assert {"ingest", "preprocessing", "train", "promote", "reload", "smoke", "monitoring"} <= jobs
    silent = {alert["labels"]["alertname"] for alert in alerts(system)} - {"Drift", "ObservationsStale"}
    assert not silent & {"TargetMissing", "ModelNotLoaded", "JobFails", "JobSilent", "PredictionsBurnFast"}


def asked(system: Any, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers now."""
    address = f"http://127.0.0.1:{system.environment['METEO_PROMETHEUS__PORT']}/api/v1/query"
    answer = httpx.get(address, params={"query": query}, trust_env=False, timeout=60).raise_for_status().json()
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def alerts(system: Any, name: str = "", **labels: str) -> list[dict[str, Any]]:
    """The alerts that fire in Prometheus."""
    address = f"http://127.0.0.1:{system.environment['METEO_PROMETHEUS__PORT']}/api/v1/alerts"
    answer = httpx.get(address, trust_env=False, timeout=60).raise_for_status().json()["data"]["alerts"]
    wanted = ({"alertname": name} if name else {}) | labels
    return [alert for alert in answer if alert["state"] == "firing" and wanted.items() <= alert["labels"].items()]


def wait_for(find: Any, seconds: float = 120) -> Any:
    """What `find` gives once it gives something."""
    deadline = time.monotonic() + seconds
    while (found := find()) is None:
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.5)
    return found


def text_of(mail: email.message.EmailMessage) -> str:
    body = mail.get_body(("html", "plain"))
    return f"{mail['Subject']} {body.get_content() if body else ''}"


def test_a_killed_fit_is_tried_again_and_its_one_version_is_served_the_old_one_kept_as_previous(
    system: Any, admin: httpx.Client
) -> None:
    champion = aliases(admin)["champion"]
    before = {model["version"] for model in admin.get("/admin/models").json()}
    run_id = launched(admin, "training")
    process = _fitting(system)
    assert admin.post("/admin/training", json={}).status_code == 409
    time.sleep(1.5)
    process.kill()
    run = finished(admin, "training", run_id)
    assert run["state"] == "success", explained(admin, run)
    assert [task["task"] for task in run["tasks"]] == TASKS
    tries = {task["task"]: task["try_number"] for task in run["tasks"]}
    assert tries == {**dict.fromkeys(TASKS, 1), "train": 2}
    (made,) = {model["version"] for model in admin.get("/admin/models").json()} - before
    summaries = {task["task"]: task["summary"] for task in run["tasks"]}
    assert summaries["promote"]["promoted"] is True, summaries["promote"]["reasons"]
    after = aliases(admin)
    assert made == after["champion"] == summaries["train"]["version"] == served(admin) == summaries["smoke"]["version"]
    assert after["previous"] == champion
    assert summaries["smoke"]["stations"] > 1
    assert "asked by" in run["note"]


def test_a_run_can_be_cancelled_and_a_failed_task_run_again(system: Any, admin: httpx.Client) -> None:
    run_id = launched(admin, "training")
    process = _fitting(system)
    assert admin.post(f"/admin/runs/training/{run_id}/tasks/train/retry").status_code == 409, "it has not failed"
    assert admin.post(f"/admin/runs/training/{run_id}/cancel").status_code == 204
    assert finished(admin, "training", run_id)["state"] == "failed"
    process.wait(timeout=60)
    assert admin.post(f"/admin/runs/training/{run_id}/cancel").status_code == 409
    assert admin.post(f"/admin/runs/training/{run_id}/tasks/train/retry").status_code == 204
    run = finished(admin, "training", run_id)
    assert run["state"] == "success", explained(admin, run)
    actions = [entry["action"] for entry in admin.get("/admin/audit?limit=20").json()]
    assert {"cancel training", "retry training"} <= set(actions)


_LEARNS_WRONGLY = """
import sys
from dataclasses import replace
import numpy as np
from meteo.models.registry import Registry
from meteo.runtime import job
from meteo.runtime.settings import Settings
from train.dataset import Dataset
from train.fit import fit
from train.jobs import recipe_of
from train.publish import publish
settings = Settings()
dataset = Dataset.read(settings.training_data)
def nearly_always(label): return np.arange(len(label)) % 50 > 0
wrongly = {"shuffled": np.random.default_rng(0).permutation, "rain": nearly_always}[sys.argv[1]]
def wrong(part): return replace(part, label=wrongly(part.label))
bad = replace(dataset, train=wrong(dataset.train), validation=wrong(dataset.validation))
def work():
    model = fit(bad, recipe_of(settings, "xgboost", {"rounds": 50}), sys.argv[1], "", lambda _: None)
    return {"version": publish(model, bad, Registry.of(settings), "training", settings.workspace / "dvc.lock")[1]}
job.run("wrong training", settings, work)
"""


def test_a_challenger_that_learnt_nonsense_is_refused_and_the_champion_serves_on(
    system: Any, admin: httpx.Client
) -> None:
    champion = served(admin)
    bad = learn_wrongly(system, "shuffled")
    verdict = command(system, "-m", "train", "promote")
    assert '"promoted": false' in verdict
    assert "worse than the champion" in verdict
    assert aliases(admin)["champion"] == champion == served(admin)
    assert aliases(admin)["challenger"] == bad
    (entry,) = [model for model in admin.get("/admin/models").json() if model["version"] == bad]
    assert entry["gate"] == "refused"
    assert "worse than the champion" in entry["gate_reasons"]


def test_forecasts_that_got_worse_are_noticed_and_a_training_mends_them(system: Any, admin: httpx.Client) -> None:
    demo = system.environment["METEO_INGEST__DEMO_URL"]
    stations = [place["name"] for place in admin.get("/stations").json() if place["latest"]]
    champion = served(admin)
    bad = learn_wrongly(system, "rain")
    asked = {"expected": champion, "reason": "to see what happens"}
    assert admin.post(f"/admin/models/{bad}/promote", json=asked).status_code == 200
    before = {run["run_id"] for run in runs(admin, "training")}
    for behind in (LEAVES - 1, LEAVES - 2):
        forecast_newest(admin, stations)
        httpx.put(f"{demo}/clock", json={"days_behind": behind}, trust_env=False, timeout=60).raise_for_status()
        known = len(runs(admin, "monitoring"))
        run = finished(admin, "ingestion", launched(admin, "ingestion"))
        assert run["state"] == "success", explained(admin, run)
        wait_for(lambda known=known: runs(admin, "monitoring")[known:] or None)
        newest = runs(admin, "monitoring")[0]["run_id"]
        monitored = finished(admin, "monitoring", newest)
        summary = next(task["summary"] for task in monitored["tasks"] if task["task"] == "monitor")
        if summary["retrain"]["ask"]:
            break
    assert summary["retrain"]["ask"], summary["retrain"]
    assert f"version {bad}: Brier score" in summary["retrain"]["reason"]
    scores = {each["model_version"]: each for each in admin.get("/admin/quality").json()}
    assert scores[bad]["brier"] > scores[bad]["expected_brier"] + 0.01
    started = wait_for(lambda: next((run for run in runs(admin, "training") if run["run_id"] not in before), None))
    assert started["run_id"].startswith("asked_by_")
    trained = finished(admin, "training", started["run_id"])
    assert trained["state"] == "success", explained(admin, trained)
    mended = served(admin)
    assert mended not in (bad, champion)
    forecast_newest(admin, stations)
    again = admin.get(f"/admin/models/{mended}").json()
    assert again["metrics"]["brier"] < scores[bad]["brier"]


def test_every_query_of_every_dashboard_returns_data(system: Any, admin: httpx.Client) -> None:
    question = {"station": "Sydney", "date": datetime.now(UTC).date().isoformat(), "observation": {"humidity_3pm": 60}}

    def told() -> Any:
        """What the objective's rules say, once predictions one by one have been scraped twice."""
        admin.post("/predict", json=question).raise_for_status()
        found = asked(system, "predict:bad_share:rate6h")
        return found if found and found[0]["value"][1] != "NaN" else None

    wait_for(told)
    empty = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$version", ".*").replace("$station", ".*")
                values = [point["value"][1] for point in asked(system, query)]
                if not values or set(values) == {"NaN"}:
                    empty.append((path.stem, panel["title"], query))
    assert empty == []


def test_the_operator_is_mailed_about_the_failing_instrument(
    system: Any, mails: list[email.message.EmailMessage]
) -> None:
    """Last: what changes of an alarm is mailed after five minutes."""
    (alert,) = alerts(system, "Drift", station=FAILING, channel="wind")
    sentence = f"{FAILING}: wind ({alert['labels']['kind']}) since {alert['labels']['since']}"
    mail = wait_for(lambda: next((mail for mail in mails if sentence in text_of(mail)), None), 420)
    assert mail["To"] == "operator@weather.example"


def learn_wrongly(system: Any, how: str) -> str:
    """The version that is published."""
    version: str = json.loads(command(system, "-c", _LEARNS_WRONGLY, how))["version"]
    return version


def command(system: Any, *arguments: str) -> str:
    """The last line that a Python of the project's environment prints."""
    package = arguments[1] if arguments[0] == "-m" else "train"
    environment = {**system.environment, "METEO_SECRETS": str(system.home / "secrets" / package)}
    python = str(next(iter(_processes(system, "gateway"))).cmdline()[0])
    done = subprocess.run([python, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def _processes(system: Any, *words: str) -> Iterator[psutil.Process]:
    """The processes of this home whose command line has all these words."""
    for process in psutil.process_iter():
        try:
            if set(words) <= set(process.cmdline()) and process.environ().get("METEO_HOME") == str(system.home):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _fitting(system: Any) -> psutil.Process:
    """The process that fits, once it is there."""
    deadline = time.monotonic() + PIPELINE_SECONDS
    while time.monotonic() < deadline:
        for process in _processes(system, "-m", "train", "--params"):
            return process
        time.sleep(0.2)
    raise TimeoutError("no process fits")
