"""Prometheus, Alertmanager and Node Exporter on one machine: their programs, and their files with its addresses."""

import shutil
from pathlib import Path
from typing import Any

import yaml
from home import REPOSITORY, HomeError

from meteo.runtime.settings import Alerts, Settings

FILES = REPOSITORY / "deploy" / "observability"

_PROGRAMS = {
    "PROMETHEUS_BIN": ("prometheus",),
    "ALERTMANAGER_BIN": ("prometheus-alertmanager", "alertmanager"),
    "NODE_EXPORTER_BIN": ("prometheus-node-exporter", "node_exporter"),
}
"""By the names that Debian and the makers give them."""


def programs() -> dict[str, str]:
    """Where each is; HomeError names those that are not installed."""
    found = {variable: next(filter(None, map(shutil.which, names)), "") for variable, names in _PROGRAMS.items()}
    if missing := [_PROGRAMS[variable][0] for variable, path in found.items() if not path]:
        raise HomeError(
            f"OBSERVABILITY needs {', '.join(missing)}: "
            "apt-get install prometheus prometheus-alertmanager prometheus-node-exporter"
        )
    return found


def write_files(folder: Path, settings: Settings) -> None:
    """The committed files, with this machine's addresses and the settings' addressee, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    settings.job_metrics.mkdir(parents=True, exist_ok=True)
    addresses = {
        "gateway": settings.gateway,
        "api_model": settings.api_model,
        "node": settings.node_exporter,
        "prometheus": settings.prometheus,
        "alertmanager": settings.alertmanager,
    }
    targets = {job: [f"{service.host}:{service.port}"] for job, service in addresses.items()}
    targets["console"] = [f"{settings.console.host}:{settings.console.metrics_port}"]
    prometheus = yaml.safe_load((FILES / "prometheus.yml").read_text(encoding="utf-8"))
    prometheus["global"] = dict.fromkeys(
        ("scrape_interval", "evaluation_interval"), f"{settings.prometheus.scrape_seconds}s"
    )
    prometheus["rule_files"] = [str(FILES / "rules.yml")]
    prometheus["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": targets["alertmanager"]}]}]
    for job in prometheus["scrape_configs"]:
        job["static_configs"] = [{"targets": targets[job["job_name"]]}]
    _write(folder / "prometheus.yml", prometheus)
    alertmanager = yaml.safe_load((FILES / "alertmanager.yml").read_text(encoding="utf-8"))
    if settings.alerts.to:
        alertmanager["receivers"][0]["email_configs"] = [mail(settings.alerts)]
    _write(folder / "alertmanager.yml", alertmanager)


def mail(alerts: Alerts) -> dict[str, Any]:
    """Alertmanager's e-mail settings; the password is read from its file by Alertmanager itself."""
    found: dict[str, Any] = {
        "to": alerts.to,
        "from": alerts.sender,
        "smarthost": alerts.smarthost,
        "require_tls": alerts.require_tls,
        "send_resolved": True,
    }
    if alerts.username:
        found |= {"auth_username": alerts.username, "auth_password_file": str(alerts.password_file)}
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    temporary.replace(path)
