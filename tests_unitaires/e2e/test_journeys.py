"""What people do, in a real browser against the whole running system on demo data."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from meteo.features import NAMES
from meteo.registry import Registry

pytestmark = pytest.mark.slow

Visit = Callable[[str], Page]
PIPELINE_MS = 480_000


def forecast(page: Page) -> str:
    """Submit the form; the model version the answer names."""
    captions = page.get_by_text(re.compile(r"Model rain-tomorrow, version \d+"))
    earlier = captions.last.inner_text() if captions.count() else ""
    page.get_by_role("button", name="Forecast rain").click()
    expect(captions.last).to_be_visible()
    expect(captions.last).not_to_have_text(earlier)
    found = re.search(r"version (\d+)", captions.last.inner_text())
    assert found is not None
    return found[1]


def test_a_user_reads_a_probability_and_stays_logged_in(visit: Visit) -> None:
    page = visit("user")
    expect(page.get_by_text("DEMO DATA").first).to_be_visible()
    expect(page.get_by_role("spinbutton", name="Temperature at 9am (°C)")).not_to_have_value("")
    forecast(page)
    expect(page.get_by_test_id("stMetricValue")).to_have_text(re.compile(r"^\d{1,3}%$"))
    expect(page.get_by_text(re.compile("on the clock of Sydney"))).to_be_visible()
    expect(page.get_by_text("What moved the chance most")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Forecast rain")).to_be_visible()
    expect(page.get_by_text("Logged in as user (user)")).to_be_visible()


def test_a_sparse_form_is_answered_and_says_what_was_missing(visit: Visit) -> None:
    page = visit("user")
    page.get_by_role("spinbutton", name="Relative humidity at 9am (%)").fill("")
    forecast(page)
    expect(page.get_by_text(re.compile("Not known:.*Relative humidity at 9am"))).to_be_visible()


def test_a_wrong_password_is_said_and_opens_nothing(browser: Any, system: Any) -> None:
    page = browser.new_page()
    page.goto(f"{system.console}/pipelines")
    assert "/login" in page.url
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    page.close()


def test_a_user_does_not_see_the_admins_pages(visit: Visit, system: Any) -> None:
    page = visit("user")
    expect(page.get_by_role("link", name="Pipelines")).to_have_count(0)
    page.goto(f"{system.console}/pipelines")
    expect(page.get_by_text("Page not found")).to_be_visible()
    expect(page.get_by_role("button", name="Launch training")).to_have_count(0)


def test_logging_out_kills_the_session_everywhere(visit: Visit, system: Any) -> None:
    page = visit("user")
    (cookie,) = [one for one in page.context.cookies() if one["name"] == "session"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    page.get_by_role("link", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.context.add_cookies([{"name": "session", "value": cookie["value"], "url": system.console}])
    page.goto(system.console)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_two_people_at_once_are_kept_apart(visit: Visit) -> None:
    user, admin = visit("user"), visit("admin")
    expect(user.get_by_text("Logged in as user (user)")).to_be_visible()
    expect(admin.get_by_text("Logged in as admin (admin)")).to_be_visible()


def test_an_admin_launches_ingestion_and_training_and_the_new_version_serves(visit: Visit, system: Any) -> None:
    page = visit("admin")
    before = forecast(page)
    page.get_by_role("link", name="Pipelines").click()
    page.get_by_role("button", name="Launch ingestion").click()
    expect(page.get_by_text(re.compile("^Launched ingestion"))).to_be_visible()
    expect(page.get_by_text("ingestion is success")).to_be_visible(timeout=PIPELINE_MS)
    page.get_by_role("button", name="Launch training").click()
    expect(page.get_by_text(re.compile("^Launched training"))).to_be_visible()
    expect(page.get_by_text("training is success")).to_be_visible(timeout=PIPELINE_MS)
    expect(page.get_by_text("5 of 5 tasks done")).to_be_visible()
    page.goto(system.console)
    assert int(forecast(page)) > int(before)


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


def test_no_secret_is_in_any_log(system: Any) -> None:
    secrets = [line.split("=", 1)[1] for line in (system.home / "local.env").read_text().splitlines()
               if "SECRET" in line or "PASSWORD" in line or "FERNET" in line]  # fmt: skip
    secrets += [login["password"] for login in system.logins.values()]
    assert len(secrets) >= 7
    for log in (system.home / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [each for each in secrets if each in text], log


def test_the_api_gives_the_same_probability_as_the_batch_pipeline(system: Any, tmp_path: Path) -> None:
    """Stored days, asked one by one through both services, against the rows that preprocessing made in bulk."""
    mlflow = f"http://127.0.0.1:{system.environment['METEO_MLFLOW__PORT']}"
    with closing(Registry(mlflow, "rain-tomorrow")) as registry:
        champion = registry.load(registry.require("champion"), tmp_path)
    table = pq.read_table(system.home / "dvc" / "features.parquet")
    matrix = np.column_stack([table[name].to_numpy() for name in NAMES]).astype(np.float32)
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


PAGES = {
    "map": "Rain across Australia", "history": "History", "batch": "Many at once", "account": "Account",
}  # fmt: skip
OFFICE = {
    "pipelines": "Pipelines", "quality": "Quality and drift", "models": "Models", "users": "Users", "audit": "Audit",
    "system": "System",
}  # fmt: skip


@pytest.mark.parametrize("role", ["user", "admin"])
def test_every_page_opens_for_those_it_is_for(visit: Visit, system: Any, role: str) -> None:
    page = visit(role)
    for path, title in PAGES.items() | OFFICE.items():
        page.goto(f"{system.console}/{path}")
        if role == "admin" or path in PAGES:
            expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
            expect(page.get_by_test_id("stException")).to_have_count(0)
            expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
        else:
            expect(page.get_by_text("Page not found")).to_be_visible()


def test_the_map_has_every_station_as_a_dot_and_in_the_table(visit: Visit, system: Any) -> None:
    page = visit("user")
    page.goto(f"{system.console}/map")
    expect(page.get_by_text(re.compile(r"stored observations of \d+ of 49 stations"))).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()


def test_a_forecast_is_in_the_history_and_another_users_is_not(visit: Visit, system: Any) -> None:
    page = visit("user")
    forecast(page)
    page.goto(f"{system.console}/history")
    expect(page.get_by_text("Rain in the 24 h to 9am (mm)")).to_be_visible()
    page.get_by_role("tab", name="Forecasts").click()
    expect(page.get_by_test_id("stDataFrame").last).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").last.click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "asked,day observed,chance,said,fell (mm),then,version", "not by whom: only one's own are shown"
    assert len(lines) >= 2


def test_a_csv_is_answered_line_by_line(visit: Visit, system: Any, tmp_path: Path) -> None:
    page = visit("user")
    page.goto(f"{system.console}/batch")
    with page.expect_download() as template:
        page.get_by_role("button", name="Download a template").click()
    given = tmp_path / "given.csv"
    hostile = "=HYPERLINK(1),2017-06-25,80"
    header = "station,date,humidity_3pm"
    assert Path(template.value.path()).read_text().startswith("station,date,min_temp")
    given.write_text(f"{header}\nSydney,2017-06-25,80\n{hostile}\n")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(given)
    expect(page.get_by_text("2 lines were answered.")).to_be_visible()
    with page.expect_download() as answers:
        page.get_by_role("button", name="Download the answers").click()
    lines = Path(answers.value.path()).read_text().splitlines()
    assert "no station is called" in lines[2]
    assert lines[2].startswith("'="), "no spreadsheet makes a formula of it"


def test_a_key_is_made_used_and_revoked(visit: Visit, system: Any) -> None:
    page = visit("user")
    page.goto(f"{system.console}/account")
    page.get_by_label("What is it for?").fill("a program")
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_test_id("stCode").inner_text().strip()
    client = httpx.Client(
        base_url=system.gateway, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=60
    )
    assert client.get("/me").status_code == 200
    page.get_by_role("button", name="Revoke").first.click()
    expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
    assert client.get("/me").status_code == 401
    client.close()


def _choose_a_password(browser: Any, system: Any, login: dict[str, str]) -> None:
    """The first login with a password that an admin gave: nothing opens before it is changed."""
    new = "a rainy sentence of my own"
    with closing(browser.new_context()) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(system.console)
        for given in (login["password"], new):
            page.get_by_label("User name").fill(login["username"])
            page.get_by_label("Password").fill(given)
            page.get_by_role("button", name="Log in").click()
            if given == new:
                break
            expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
            page.get_by_label("Present password").fill(given)
            page.get_by_label("New password", exact=True).fill(new)
            page.get_by_label("New password again").fill(new)
            page.get_by_role("button", name="Change password").click()
            expect(page.get_by_text("All your sessions have ended")).to_be_visible()
            page.get_by_role("link", name="Log in with the new password").click()
        expect(page.get_by_role("button", name="Forecast rain")).to_be_visible()


def test_an_admin_makes_and_removes_an_account(visit: Visit, system: Any, browser: Any) -> None:
    page = visit("admin")
    page.goto(f"{system.console}/users")
    page.get_by_label("User name").fill("newcomer")
    page.get_by_role("button", name="Make an account").click()
    password = page.get_by_test_id("stCode").inner_text().strip()
    login = {"username": "newcomer", "password": password}
    _choose_a_password(browser, system, login)
    page.get_by_text("newcomer · user").click()
    account = page.get_by_test_id("stExpander").filter(has_text="newcomer")
    account.get_by_text("Really remove").click()
    account.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("newcomer · user")).to_have_count(0)
    assert httpx.post(f"{system.gateway}/token", data=login, trust_env=False, timeout=60).status_code == 401
    page.goto(f"{system.console}/audit")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
