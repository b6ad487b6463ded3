"""What people do at the console, in a real browser against the whole running system, in both languages."""

import os
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from streamlit_app.language import catalogue

pytestmark = pytest.mark.slow

WEATHER = {
    "forecast": "forecast.title", "map": "map.title", "history": "page.history", "batch": "batch.title",
    "model": "page.model", "account": "page.account",
}  # fmt: skip
OFFICE = {
    "ingestion": "page.ingestion", "training": "page.training", "models": "page.models", "quality": "quality.title",
    "users": "page.users", "audit": "page.audit", "system": "page.system",
}  # fmt: skip
WIDE, NARROW = {"width": 1280, "height": 1400}, {"width": 390, "height": 844}
PICTURES = os.environ.get("SCREENSHOTS")
"""A folder to leave pictures of every page in."""
both_languages = pytest.mark.parametrize("language", ["en", "fr"])


def shown(page: Page, heading: str) -> None:
    """Wait until a page is drawn to its end."""
    expect(page.get_by_role("heading", name=heading, exact=True).first).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)  # the code of a widget that is still on its way


@pytest.mark.parametrize(
    ("role", "language", "scheme", "size"),
    [("user", "en", "dark", NARROW), ("user", "fr", "light", NARROW), ("admin", "fr", "dark", WIDE),
     ("admin", "en", "light", WIDE), ("admin", "fr", "light", NARROW)],
)  # fmt: skip
def test_every_page_is_shown_to_those_it_is_for_and_to_everybodys_eyes(
    visit: Any, system: Any, role: str, language: str, scheme: str, size: dict[str, int]
) -> None:
    """Wide and narrow, light and dark; axe-core finds nothing serious, and nothing is wider than the window."""
    t = catalogue(language)
    page = visit(role, language, viewport=size, color_scheme=scheme)
    found = []
    for path, heading in (WEATHER | OFFICE).items():
        page.goto(f"{system.console}/{'' if path == 'forecast' else path}")
        if role != "admin" and path in OFFICE:
            expect(page.get_by_text("Page not found")).to_be_visible()
            continue
        shown(page, t[heading])
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
        expect(page.get_by_text("DEMO").first).to_be_visible()
        if PICTURES:
            name = f"{path}-{role}-{language}-{scheme}-{size['width']}.png"
            page.wait_for_timeout(1500)
            page.screenshot(path=Path(PICTURES) / name, full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wide > 0:
            found.append(f"{path} is {wide} px wider than the window")
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = [(node["target"], node.get("failureSummary")) for node in violation["nodes"][:3]]
                found.append(f"{path}: {violation['id']} {nodes}")
    assert found == []


@both_languages
def test_a_user_reads_a_probability_and_stays_logged_in(visit: Any, forecast: Any, language: str) -> None:
    t = catalogue(language)
    page = visit("user", language)
    expect(page.get_by_role("spinbutton", name=t["field.temp_9am"])).not_to_have_value("")
    forecast(page, language)
    expect(page.get_by_test_id("stMetricValue")).to_have_text(re.compile(r"^\d{1,3}\s?%$"))
    expect(page.get_by_text(re.compile("Sydney time|heure de Sydney"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"^(How good is this|Quelle confiance)"))).to_be_visible()
    expect(page.get_by_text(re.compile("at Sydney are|à Sydney, en"))).to_be_visible()
    expect(page.get_by_text(t["forecast.reasons"], exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name=t["forecast.submit"])).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_text(t["session.log_out"])).to_be_visible()


def test_a_sparse_form_is_answered_and_says_what_was_missing(visit: Any, forecast: Any) -> None:
    page = visit("user")
    page.get_by_role("spinbutton", name="Relative humidity at 9am (%)").fill("")
    forecast(page)
    expect(page.get_by_text(re.compile("Unknown:.*Relative humidity at 9am"))).to_be_visible()


@both_languages
def test_what_is_wrong_is_said_beside_its_field(visit: Any, forecast: Any, language: str) -> None:
    t = catalogue(language)
    page = visit("user", language)
    page.get_by_role("spinbutton", name=t["field.min_temp"]).fill("30")
    page.get_by_role("spinbutton", name=t["field.max_temp"]).fill("20")
    page.get_by_role("button", name=t["forecast.submit"]).click()
    day = page.get_by_test_id("stColumn").filter(has=page.get_by_role("heading", name=t["forecast.block_day"])).last
    expect(day.get_by_test_id("stAlertContentError")).to_contain_text("must not be below min_temp")
    page.get_by_role("spinbutton", name=t["field.max_temp"]).fill("35")
    forecast(page, language)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


@both_languages
def test_a_wrong_password_is_said_and_opens_nothing(browser: Any, system: Any, language: str) -> None:
    t = catalogue(language)
    with closing(browser.new_context(locale=language, ignore_https_errors=True)) as context:
        page = context.new_page()
        page.goto(f"{system.console}/training")
        assert "/login" in page.url
        page.get_by_label(t["login.user"]).fill("admin")
        page.get_by_label(t["login.password"]).fill("not the password")
        page.get_by_role("button", name=t["login.submit"]).click()
        expect(page.get_by_role("alert")).to_have_text(t["login.wrong"])
        assert [one for one in Axe().run(page).response["violations"] if one["impact"] != "minor"] == []


def test_logging_out_kills_the_session_everywhere(visit: Any, system: Any) -> None:
    page = visit("user")
    (cookie,) = [one for one in page.context.cookies() if one["name"] == "session"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    page.get_by_role("link", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.context.add_cookies([{"name": "session", "value": cookie["value"], "url": system.console}])
    page.goto(system.console)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


@both_languages
def test_a_session_that_ends_in_mid_form_loses_nothing_typed(
    visit: Any, forecast: Any, system: Any, language: str
) -> None:
    t = catalogue(language)
    page = visit("user", language, "/?station=Perth")
    humidity = page.get_by_role("spinbutton", name=t["field.humidity_3pm"])
    humidity.fill("77")
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{system.console}/logout")
    elsewhere.close()
    page.get_by_role("button", name=t["forecast.submit"]).click()
    expect(page.get_by_text(t["session.ended"])).to_be_visible()
    page.get_by_role("link", name=t["session.log_in_again"]).click()
    page.get_by_label(t["login.user"]).fill(system.logins["user"]["username"])
    page.get_by_label(t["login.password"]).fill(system.logins["user"]["password"])
    page.get_by_role("button", name=t["login.submit"]).click()
    expect(page.get_by_text(t["session.typed_is_back"])).to_be_visible()
    expect(page.get_by_role("combobox", name=t["common.station"])).to_have_value("Perth")
    expect(humidity).to_have_value("77")
    forecast(page, language)


@both_languages
def test_without_the_gateway_the_page_says_so_and_keeps_what_was_typed(
    visit: Any, forecast: Any, system: Any, language: str
) -> None:
    t = catalogue(language)
    page = visit("user", language)
    humidity = page.get_by_role("spinbutton", name=t["field.humidity_3pm"])
    humidity.fill("66")
    with system.without("gateway"):
        page.get_by_role("button", name=t["forecast.submit"]).click()
        problem = page.get_by_test_id("stAlertContentError")
        expect(problem).to_contain_text(t["error.Unavailable"])
        expect(problem).to_contain_text(re.compile(r"request [0-9a-f]{32}"))
    page.get_by_test_id("stMainMenu").or_(page.locator("body")).first.press("r")
    expect(humidity).to_have_value("66")
    forecast(page, language)


@both_languages
def test_without_airflow_forecasts_go_on_and_the_pipelines_say_what_is_away(
    visit: Any, forecast: Any, system: Any, language: str
) -> None:
    t = catalogue(language)
    page = visit("admin", language)
    with system.without("airflow-api-server"):
        forecast(page, language)
        page.goto(f"{system.console}/training")
        expect(page.get_by_test_id("stAlertContentError").first).to_contain_text("Airflow")
        page.get_by_role("button", name=t["training.launch"]).click()
        expect(page.get_by_test_id("stAlertContentError").first).to_contain_text(t["error.Unavailable"])
        page.goto(f"{system.console}/system")
        expect(page.get_by_text(re.compile(f"airflow – {t['system.down']}"))).to_be_visible()
    expect(page.get_by_text(re.compile(f"airflow – {t['system.up']}"))).to_be_visible()


def test_two_people_at_once_see_their_own_forecasts_only(visit: Any, forecast: Any, system: Any) -> None:
    user, admin = visit("user", path="/?station=Hobart"), visit("admin", path="/?station=Hobart")
    sidebars = [page.get_by_test_id("stSidebar") for page in (user, admin)]
    expect(sidebars[0].get_by_text("Logged in as user (user)")).to_be_visible()
    expect(sidebars[1].get_by_text("Logged in as admin (admin)")).to_be_visible()
    humidity = "Relative humidity at 3pm (%)"
    admin.get_by_role("spinbutton", name=humidity).fill("11")
    forecast(admin)
    expect(user.get_by_role("spinbutton", name=humidity)).not_to_have_value("11")
    expect(user.get_by_test_id("stMetricValue")).to_have_count(0)
    user.goto(f"{system.console}/history")
    user.get_by_role("combobox", name="Station").fill("Hobart")
    user.get_by_role("combobox", name="Station").press("Enter")
    user.get_by_role("tab", name="Forecasts").click()
    expect(user.get_by_text("There are no forecasts for Hobart yet.")).to_be_visible()


@pytest.mark.parametrize(
    "hostile",
    ["<img src=x onerror=alert(1)>", "![x](https://evil.example/x.png)", "[a](javascript:alert(1))", "'; DROP"],
)
def test_a_hostile_station_name_is_text_and_no_more(visit: Any, hostile: str) -> None:
    page = visit("user", path=f"/?station={httpx.QueryParams({'s': hostile})}".replace("station=s=", "station="))
    expect(page.get_by_test_id("stAlertContentError")).to_contain_text(hostile)
    expect(page.get_by_role("combobox", name="Station")).to_have_value("Sydney")


def test_the_nearest_station_to_a_place_is_found(visit: Any) -> None:
    page = visit("user")
    page.get_by_role("button", name="Nearest station").click()
    page.get_by_role("spinbutton", name="Latitude").fill("-31.9")
    page.get_by_role("spinbutton", name="Longitude").fill("115.9")
    page.get_by_role("spinbutton", name="Longitude").press("Enter")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text(re.compile(r"Perth, \d+ km away"))).to_be_visible()
    expect(page.get_by_role("combobox", name="Station")).to_have_value("Perth")


@both_languages
def test_the_map_has_every_station_and_leads_to_its_forecast(visit: Any, system: Any, language: str) -> None:
    t = catalogue(language)
    page = visit("user", language, "/map")
    expect(page.get_by_text(re.compile(r"\b49\b")).first).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    expect(page.get_by_text(t["map.pick"])).to_be_visible()
    page.get_by_test_id("stDataFrame").click(position={"x": 16, "y": 50})
    link = page.get_by_role("link", name=re.compile(t["map.to_forecast"].partition("{")[0]))
    place = link.get_attribute("href").partition("=")[2]
    link.click()
    expect(page.get_by_role("combobox", name=t["common.station"])).to_have_value(place.replace("%20", " "))


@both_languages
def test_a_forecast_is_in_the_history(visit: Any, forecast: Any, system: Any, language: str) -> None:
    t = catalogue(language)
    page = visit("user", language)
    forecast(page, language)
    page.goto(f"{system.console}/history")
    shown(page, t["page.history"])
    page.get_by_role("tab", name=t["history.forecasts"]).click()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_role("button", name=t["common.download"]).last.click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "made_at,date,probability,rain_tomorrow,rainfall,rained,model_version", "only one's own"
    assert len(lines) >= 2


@both_languages
def test_a_csv_is_answered_line_by_line(visit: Any, system: Any, tmp_path: Path, language: str) -> None:
    t = catalogue(language)
    page = visit("user", language, "/batch")
    with page.expect_download() as template:
        page.get_by_role("button", name=t["batch.template"]).click()
    assert Path(template.value.path()).read_text().startswith("station,date,min_temp")
    given = tmp_path / "given.csv"
    given.write_text("station,date,humidity_3pm\nSydney,2017-06-25,80\n=HYPERLINK(1),2017-06-25,80\nPerth,x,<b>\n")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(given)
    expect(page.get_by_text(t["batch.answered"].format(n=1, all=3))).to_be_visible()
    expect(page.get_by_text(t["batch.wrong"].format(n=2))).to_be_visible()
    with page.expect_download() as answers:
        page.get_by_role("button", name=t["batch.download"]).click()
    lines = Path(answers.value.path()).read_text().splitlines()
    assert "no station is called" in lines[2]
    assert lines[2].startswith("'="), "no spreadsheet makes a formula of it"
    assert "humidity_3pm" in lines[3]


@both_languages
def test_a_key_is_made_used_and_revoked(visit: Any, system: Any, language: str) -> None:
    t = catalogue(language)
    page = visit("user", language, "/account")
    page.get_by_label(t["account.key_label"]).fill("a *program*")
    page.get_by_role("button", name=t["account.make_key"]).click()
    key = page.get_by_test_id("stCode").inner_text().strip()
    with system.client() as client:
        client.headers["Authorization"] = f"Bearer {key}"
        assert client.get("/me").status_code == 200
        page.get_by_role("button", name=t["account.revoke"], exact=True).first.click()
        page.get_by_role("button", name=t["common.confirm"]).click()
        expect(page.get_by_role("button", name=t["account.revoke"], exact=True)).to_have_count(0)
        assert client.get("/me").status_code == 401


def test_the_language_chosen_stays_chosen(visit: Any, system: Any) -> None:
    page = visit("user", path="/account")
    page.get_by_test_id("stMain").get_by_role("link", name="Français").click()
    expect(page.get_by_role("heading", name="Compte")).to_be_visible()
    page.goto(system.console)
    expect(page.get_by_role("button", name="Obtenir la prévision")).to_be_visible()
    page.get_by_test_id("stSidebar").get_by_role("link", name="English").click()
    expect(page.get_by_role("button", name="Get the forecast")).to_be_visible()


def _choose_a_password(browser: Any, system: Any, login: dict[str, str], t: dict[str, str], language: str) -> None:
    """The first login with a password that an admin gave: nothing opens before it is changed."""
    new = "a rainy sentence of my own"
    with closing(browser.new_context(locale=language, ignore_https_errors=True)) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(system.console)
        for given in (login["password"], new):
            page.get_by_label(t["login.user"]).fill(login["username"])
            page.get_by_label(t["login.password"]).fill(given)
            page.get_by_role("button", name=t["login.submit"]).click()
            if given == new:
                break
            expect(page.get_by_role("heading", name=t["account.choose"])).to_be_visible()
            page.get_by_label(t["account.present"]).fill(given)
            page.get_by_label(t["account.new"], exact=True).fill(new)
            page.get_by_label(t["account.again"]).fill(new)
            page.get_by_role("button", name=t["account.change"]).click()
            expect(page.get_by_text(t["account.changed"])).to_be_visible()
            page.get_by_role("link", name=t["account.log_in_anew"]).click()
        expect(page.get_by_role("button", name=t["forecast.submit"])).to_be_visible()


@both_languages
def test_an_admin_makes_and_removes_an_account(visit: Any, system: Any, browser: Any, language: str) -> None:
    t = catalogue(language)
    page = visit("admin", language, "/users")
    page.get_by_label(t["users.name"]).fill("newcomer")
    page.get_by_role("button", name=t["users.make"]).click()
    password = page.get_by_test_id("stCode").inner_text().strip()
    login = {"username": "newcomer", "password": password}
    _choose_a_password(browser, system, login, t, language)
    title = f"newcomer · {t['role.user']}"
    page.get_by_text(title).click()
    account = page.get_by_test_id("stExpander").filter(has_text="newcomer")
    account.get_by_role("button", name=t["users.remove"], exact=True).click()
    page.get_by_role("button", name=t["common.confirm"]).click()
    expect(page.get_by_text(title)).to_have_count(0)
    with system.client() as client:
        assert client.post("/token", data=login).status_code == 401
    page.goto(f"{system.console}/audit")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()


@both_languages
def test_real_files_are_not_handed_into_demo_data(visit: Any, tmp_path: Path, language: str) -> None:
    t = catalogue(language)
    page = visit("admin", language, "/ingestion")
    given = tmp_path / "IDCJDW2124.202305 (1).csv"
    given.write_text("a month of Sydney's weather")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(given)
    expect(page.get_by_role("button", name="Remove IDCJDW2124.202305 (1).csv")).to_be_visible()
    page.get_by_role("button", name=t["ingestion.upload"], exact=True).click()
    problem = page.get_by_test_id("stAlertContentError").first
    expect(problem).to_contain_text(t["error.InvalidInput"])
    expect(problem).to_contain_text("simulated and real ones never share a store")


@both_languages
def test_rolling_back_needs_a_confirmation(visit: Any, language: str) -> None:
    t = catalogue(language)
    page = visit("admin", language, "/models")
    expect(page.get_by_text(re.compile("champion"))).not_to_have_count(0)
    page.get_by_role("button", name=t["models.rollback"]).click()
    expect(page.get_by_text(t["models.confirm_first"])).to_be_visible()
