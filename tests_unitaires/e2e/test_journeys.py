"""What the whole running system does for those who speak to it by its pages or its API, on demo data."""

import hashlib
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from playwright.sync_api import expect

from meteo.features.matrix import FEATURE_NAMES
from meteo.models.card import CARD
from meteo.models.published import CARD_TAG
from meteo.models.registry import Registry
from streamlit_app.language import catalogue

pytestmark = pytest.mark.slow

PIPELINE_MS = 480_000


def test_an_admin_launches_ingestion_and_training_and_the_new_version_serves(
    visit: Any, forecast: Any, system: Any
) -> None:
    page = visit("admin")
    before = forecast(page)
    page.get_by_role("link", name="Ingestion").click()
    page.get_by_role("button", name="Start ingestion").click()
    expect(page.get_by_text(re.compile("^Started ingestion"))).to_be_visible()
    expect(page.get_by_text("ingestion: succeeded")).to_be_visible(timeout=PIPELINE_MS)
    page.get_by_role("link", name="Training").click()
    page.get_by_role("textbox", name=re.compile("Parameters")).fill("max_depth = 5")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text(re.compile("^Started training"))).to_be_visible()
    expect(page.get_by_text("training: succeeded")).to_be_visible(timeout=PIPELINE_MS)
    expect(page.get_by_text("5 of 5 tasks done")).to_be_visible()
    page.goto(system.console)
    after = forecast(page)
    assert int(after) > int(before)
    card = httpx.get(f"{system.gateway}/model", headers=system.token("admin"), trust_env=False, timeout=60).json()
    assert (card["version"], card["params"]["max_depth"]) == (after, 5)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_an_admin_brings_a_champion_back_and_promotes_again(
    visit: Any, forecast: Any, system: Any, language: str
) -> None:
    t = catalogue(language)
    page = visit("admin", language)
    newest = forecast(page, language)
    page.goto(f"{system.console}/models")
    page.get_by_text(t["models.rollback_sure"]).click()
    page.get_by_role("button", name=t["models.rollback"]).click()
    done = page.get_by_text(re.compile(re.escape(t["models.rolled_back"]).replace(r"\{version\}", r"(\d+)")))
    expect(done).to_be_visible()
    with system.client("admin") as client:
        brought_back = client.get("/model").json()["version"]
        assert brought_back in done.inner_text()
        assert int(brought_back) < int(newest)
        page.goto(f"{system.console}/models")
        page.get_by_role("textbox", name=t["models.why"].format(version=newest)).fill("it was better")
        page.get_by_text(t["models.sure"].format(version=newest, champion=brought_back)).click()
        page.get_by_role("button", name=t["models.promote"], exact=True).click()
        expect(page.get_by_text(t["models.promoted"].format(version=newest, previous=brought_back))).to_be_visible()
        assert client.get("/model").json()["version"] == newest
        (written, *_) = client.get("/admin/audit", params={"action": "promote model"}).json()
        assert (written["actor"], written["outcome"]) == ("admin", "success")
        assert "it was better" in str(written["detail"])
    page.goto(system.console)
    assert forecast(page, language) == newest


def test_a_request_id_crosses_every_service(system: Any, eventually: Callable[..., None]) -> None:
    name = "journey-request-0001"
    body = {"station": "Sydney", "date": "2026-01-01", "observation": {"humidity_3pm": 80}}
    answer = httpx.post(f"{system.gateway}/predict", json=body, trust_env=False,
                        headers={**system.token("user"), "X-Request-ID": name})  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"] == name
    for service in ("gateway", "api-model"):
        log = system.home / "logs" / f"{service}.log"
        eventually(lambda log=log: name in log.read_text())


def test_the_internal_services_answer_nobody_without_their_token(system: Any) -> None:
    port = system.environment["METEO_API_MODEL__PORT"]
    answer = httpx.post(
        f"http://127.0.0.1:{port}/predict", json={}, headers=system.token("admin"), trust_env=False, timeout=60
    )
    assert answer.status_code == 401


def test_what_each_ingestion_brought_can_be_read(system: Any) -> None:
    runs = httpx.get(
        f"{system.gateway}/admin/ingestions", headers=system.token("admin"), trust_env=False, timeout=60
    ).json()
    assert runs[-1]["state"] == "success"
    assert runs[-1]["new"] > 20_000


def test_a_second_up_is_harmless_and_status_says_all_is_up(system: Any) -> None:
    models = httpx.get(
        f"{system.gateway}/admin/models", headers=system.token("admin"), trust_env=False, timeout=60
    ).json()
    logins = (system.home / "credentials.json").read_bytes()
    again = system.machine("up")
    assert again.returncode == 0, again.stderr
    assert (system.home / "credentials.json").read_bytes() == logins
    after = httpx.get(
        f"{system.gateway}/admin/models", headers=system.token("admin"), trust_env=False, timeout=60
    ).json()
    assert after == models
    assert system.machine("status").returncode == 0


def _secrets(system: Any) -> list[str]:
    """Those that `make up` made."""
    lines = (system.home / "local.env").read_text().splitlines()
    return [line.split("=", 1)[1] for line in lines if "SECRET" in line or "PASSWORD" in line or "FERNET" in line]


def _mlflow(system: Any) -> str:
    password = (system.home / "secrets" / "mlflow" / "METEO_MLFLOW__PASSWORD").read_text()
    return f"http://meteo:{password}@127.0.0.1:{system.environment['METEO_MLFLOW__PORT']}"


def _processes(system: Any) -> list[psutil.Process]:
    """All that run for this home."""
    root = psutil.Process(int((system.home / "run" / "supervisord.pid").read_text()))
    return [root, *root.children(recursive=True)]


def test_nothing_under_its_home_is_for_other_accounts(system: Any) -> None:
    """After the pipelines above have run as well."""
    places = [path for path in (system.home, *system.home.rglob("*")) if not path.is_symlink()]
    assert len(places) > 100
    opened = {str(path): oct(path.stat().st_mode) for path in places if path.exists() and path.stat().st_mode & 0o077}
    assert opened == {}


def test_no_process_has_a_secret_in_its_environment(system: Any) -> None:
    secrets = _secrets(system)
    for process in _processes(system):
        environment = process.environ()
        shown = [name for name, value in environment.items() for secret in secrets if secret in value]
        assert shown == [], process.cmdline()


def test_everything_listens_on_this_machine_alone(system: Any) -> None:
    listening = {
        (process.name(), *connection.laddr)
        for process in _processes(system)
        for connection in process.net_connections("inet")
        if connection.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)
    }
    assert len(listening) >= 6
    assert {address for _, address, _ in listening} == {"127.0.0.1"}, listening


def test_no_secret_is_in_any_log(system: Any) -> None:
    secrets = _secrets(system) + [login["password"] for login in system.logins.values()]
    assert len(secrets) >= 7
    for log in (system.home / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [each for each in secrets if each in text], log


def _aside(work: Callable[..., Any], *given: Any) -> Any:
    """In a thread of its own: Playwright keeps an event loop running in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work, *given).result()


def test_a_version_that_only_mlflow_vouches_for_never_serves(system: Any, eventually: Callable[..., None]) -> None:
    """A copy of the champion of which one byte of the card was changed, its digest and a signature with it."""
    mlflow = _mlflow(system)
    secret = (system.home / "secrets" / "api_model" / "METEO_MODELS_SECRET").read_text()
    registry = Registry(mlflow, "rain-tomorrow", secret)
    with system.client("admin") as client:
        champion = _aside(registry.require, "champion")
        card = system.home / "mlflow" / "artifacts" / champion.source.removeprefix("mlflow-artifacts:/") / CARD
        changed = card.read_bytes().replace(b'"kind": "', b'"kind": " ')
        copy = card.parent.with_name("changed")
        shutil.copytree(card.parent, copy)
        (copy / CARD).write_bytes(changed)
        tags = {**champion.tags, CARD_TAG: hashlib.sha256(changed).hexdigest()}
        version = MlflowClient(mlflow, mlflow).create_model_version(
            registry.name, champion.source.rpartition("/")[0] + "/changed", champion.run_id, tags=tags
        ).version  # fmt: skip
        _aside(registry.point, "champion", str(version))
        try:
            eventually(lambda: "not signed" in str(client.get("/model").json()["problem"]), seconds=60)
            assert client.get("/model").json()["version"] == champion.version
        finally:
            _aside(registry.point, "champion", champion.version)
        eventually(lambda: client.get("/model").json()["problem"] is None, seconds=60)


def test_the_api_gives_the_same_probability_as_the_batch_pipeline(system: Any, tmp_path: Path) -> None:
    """Stored days, asked one by one through both services, against the rows that preprocessing made in bulk."""
    mlflow = _mlflow(system)
    secret = (system.home / "secrets" / "train" / "METEO_MODELS_SECRET").read_text()
    registry = Registry(mlflow, "rain-tomorrow", secret)
    champion = _aside(registry.load, _aside(registry.require, "champion"), tmp_path)
    table = pq.read_table(system.home / "dvc" / "training" / "features.parquet")
    matrix = np.column_stack([table[name].to_numpy() for name in FEATURE_NAMES]).astype(np.float32)
    batch = champion.probability(matrix)
    station, day = table["station"].to_pylist(), table["day"].to_pylist()
    bearer = system.token("admin")
    with httpx.Client(base_url=system.gateway, headers=bearer, trust_env=False, timeout=60) as client:
        for row in np.random.default_rng(0).choice(table.num_rows, 40, replace=False).tolist():
            date = day[row].isoformat()
            (stored,) = client.get(f"/stations/{station[row]}/observations", params={"start": date, "end": date}).json()
            known = {name: value for name, value in stored["observation"].items() if value is not None}
            if not known:
                continue
            answer = client.post("/predict", json={"station": station[row], "date": date, "observation": known}).json()
            assert answer["model"]["version"] == champion.version
            assert answer["probability"] == pytest.approx(batch[row], abs=1e-6)
