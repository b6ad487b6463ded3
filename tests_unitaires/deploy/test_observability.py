"""The files that Prometheus, Alertmanager and Grafana read."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import observability
import pytest
import yaml
from home import HomeError

from meteo.runtime.settings import Alerts, Settings

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = REPOSITORY / "deploy" / "observability"


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FILES / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_is_shown_to_fire_and_to_stay_silent() -> None:
    cases: dict[str, set[bool]] = {}
    for name in ("rules.test.yml", "rules.days.test.yml"):
        for test in yaml.safe_load((FILES / name).read_text())["tests"]:
            for case in test["alert_rule_test"]:
                cases.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert cases == {rule["alert"]: {True, False} for rule in alert_rules()}


def test_every_alert_says_what_is_wrong_and_where_it_is_written_what_to_do() -> None:
    for rule in alert_rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        runbook = REPOSITORY / rule["annotations"]["runbook_url"]
        assert rule["alert"] in runbook.read_text(), rule["alert"]


def test_dashboards_have_fixed_ids_and_no_empty_panel() -> None:
    datasource = yaml.safe_load((FILES / "grafana/datasources.yml").read_text())["datasources"][0]["uid"]
    found = [json.loads(path.read_text()) for path in sorted((FILES / "grafana/dashboards").glob("*.json"))]
    assert [dashboard["uid"] for dashboard in found] == ["model-quality", "pipelines", "system-health"]
    for dashboard in found:
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["title"]
            assert panel["datasource"]["uid"] == datasource
            assert all(target["expr"].strip() for target in panel["targets"])
            assert panel["targets"]


def test_the_files_of_this_machine_have_its_addresses(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, gateway={"port": 18001}, alertmanager={"port": 19093},
                        prometheus={"port": 19090, "scrape_seconds": 2})  # fmt: skip
    observability.write_files(tmp_path / "observability", settings)
    written = yaml.safe_load((tmp_path / "observability/prometheus.yml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in written["scrape_configs"]}
    assert targets["gateway"] == ["127.0.0.1:18001"]
    assert targets["prometheus"] == ["127.0.0.1:19090"]
    assert written["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["127.0.0.1:19093"]
    assert written["global"] == {"scrape_interval": "2s", "evaluation_interval": "2s"}
    mails = yaml.safe_load((tmp_path / "observability/alertmanager.yml").read_text())
    assert mails["receivers"] == [{"name": "operator"}], "nobody is mailed unasked"


def test_mail_goes_where_the_settings_say_and_no_password_is_written(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hidden-in-its-file")
    alerts = Alerts(to="me@weather.example", smarthost="mail:587", username="me", password_file=tmp_path / "password")
    settings = Settings(home=tmp_path, alerts=alerts)
    observability.write_files(tmp_path / "observability", settings)
    text = (tmp_path / "observability/alertmanager.yml").read_text()
    (mail,) = yaml.safe_load(text)["receivers"][0]["email_configs"]
    assert (mail["to"], mail["smarthost"], mail["require_tls"]) == ("me@weather.example", "mail:587", True)
    assert mail["auth_password_file"] == str(tmp_path / "password")
    assert "hidden-in-its-file" not in text
    with pytest.raises(ValueError, match="password_file"):
        Alerts(to="me@weather.example", username="me")
    if program := shutil.which("amtool"):
        checked = subprocess.run(
            [program, "check-config", str(tmp_path / "observability/alertmanager.yml")], check=False
        )
        assert checked.returncode == 0


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name.startswith("prometheus-node") else f"/bin/{name}")
    found = observability.programs()
    assert found["NODE_EXPORTER_BIN"] == "/bin/node_exporter", "its maker's name for it"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(HomeError, match="prometheus, prometheus-alertmanager, prometheus-node-exporter"):
        observability.programs()
