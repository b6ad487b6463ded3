"""Use a running system through its gateway as people and schedules would: status, a forecast, each pipeline.

The first logins come as JSON on standard input, so that no password is in a command line:
`make --silent logins | python deploy/local/journey.py https://localhost:8443`
"""

import json
import ssl
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

PIPELINE_SECONDS = 900
ATTEMPTS = 10

console = Console(stderr=True)


def main(
    gateway: Annotated[str, typer.Argument(help="such as https://localhost:8443")],
    certificate: Annotated[Path | None, typer.Option(help="of the proxy, where it is self-signed")] = None,
) -> None:
    """Exits with 1 at the first thing that is not as it should be."""
    logins = json.load(sys.stdin)
    trusted = ssl.create_default_context(cafile=certificate)
    with httpx.Client(base_url=gateway, timeout=60, trust_env=False, verify=trusted) as client:
        status = client.get("/status").raise_for_status().json()
        expect(status["status"] == "ok", f"every part is up, model {status['model_version']} serves", status)
        with key(client, logins["user"]):
            forecast(client)
            refused = client.get("/admin/runs", params={"dag": "training"}).status_code
            expect(refused == 403, "a user is refused what is an admin's", refused)
        client.auth = Login(logins["admin"])
        pipelines(client)
        client.post("/logout")


class Login(httpx.Auth):
    """A session, begun anew when it has ended: a training may run for longer than an access token lives."""

    requires_response_body = True

    def __init__(self, login: dict[str, str]) -> None:
        self._login = login
        self._bearer = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._bearer
        answer = yield request
        if answer.status_code == 401:
            token = yield httpx.Request("POST", request.url.join("/token"), data=self._login)
            self._bearer = f"Bearer {token.raise_for_status().json()['access_token']}"
            request.headers["Authorization"] = self._bearer
            yield request


@contextmanager
def key(client: httpx.Client, login: dict[str, str]) -> Iterator[None]:
    """`client` has an API key meanwhile, as a program would."""
    token = client.post("/token", data=login).raise_for_status().json()["access_token"]
    session = {"Authorization": f"Bearer {token}"}
    made = client.post("/me/keys", json={"label": "journey", "days": 1}, headers=session)
    found = made.raise_for_status().json()
    client.headers["Authorization"] = f"Bearer {found['key']}"
    try:
        yield
    finally:
        client.delete(f"/me/keys/{found['prefix']}", headers=session)
        del client.headers["Authorization"]


def forecast(client: httpx.Client) -> None:
    """Ask with the newest stored day of a station."""
    day = client.get("/stations/Sydney/observations").raise_for_status().json()[-1]
    known = {name: value for name, value in day["observation"].items() if value is not None}
    body = {"station": "Sydney", "date": day["date"], "observation": known}
    answer = client.post("/predict", json=body).raise_for_status().json()
    expect(0 <= answer["probability"] <= 1, f"Sydney after {day['date']}: {answer['probability']:.0%}", answer)


def pipelines(client: httpx.Client) -> None:
    """Ingestion, the monitoring that follows it, and a training whose outcome is served."""
    before = len(runs(client, "monitoring"))
    run(client, "ingestion")
    deadline = time.monotonic() + PIPELINE_SECONDS
    while len(runs(client, "monitoring")) == before and time.monotonic() < deadline:
        time.sleep(1)
    finished(client, "monitoring", runs(client, "monitoring")[0]["run_id"])
    report = client.get("/admin/drift").raise_for_status().json()[0]
    expect(report["verdict"] in ("quiet", "drift"), f"drift of {report['day']}: {report['verdict']}", report)
    run(client, "training")
    newest = client.get("/admin/models").raise_for_status().json()[0]
    served = client.get("/model").raise_for_status().json()["version"]
    promoted = "champion" in newest["aliases"]
    expect(promoted == (served == newest["version"]), f"version {newest['version']} trained, {served} serves", newest)


def run(client: httpx.Client, dag: str) -> None:
    started = client.post(f"/admin/{dag}", json={})
    expect(started.status_code == 202, f"{dag} is started", started.text)
    finished(client, dag, started.json()["run_id"])


def runs(client: httpx.Client, dag: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(client, "/admin/runs", {"dag": dag})
    return found


def asked(client: httpx.Client, path: str, params: dict[str, str] | None = None) -> Any:
    """What a GET answers, asked again at 503: Airflow's first answers outlast the gateway's deadline."""
    for _ in range(ATTEMPTS):
        answer = client.get(path, params=params)
        if answer.status_code != 503:
            break
        time.sleep(int(answer.headers["Retry-After"]))
    return answer.raise_for_status().json()


def finished(client: httpx.Client, dag: str, run_id: str) -> None:
    began = time.monotonic()
    with console.status(f"{dag} {run_id}"):
        while (found := asked(client, f"/admin/runs/{dag}/{run_id}"))["state"] in ("queued", "running"):
            expect(time.monotonic() - began < PIPELINE_SECONDS, "", f"{dag} has not ended: {found}")
            time.sleep(1)
    failed = [task["task"] for task in found["tasks"] if task["state"] == "failed"]
    logs = [client.get(f"/admin/runs/{dag}/{run_id}/tasks/{task}/log").text[-3000:] for task in failed]
    expect(
        found["state"] == "success",
        f"{dag} ended well after {timedelta(seconds=round(time.monotonic() - began))}",
        "\n".join(logs) or found,
    )


def expect(holds: bool, what: str, otherwise: object) -> None:
    if not holds:
        console.print(f"✗ {what}\n{otherwise}", style="red", markup=False)
        raise SystemExit(1)
    if what:
        console.print(f"[green]✓[/] {what}")


if __name__ == "__main__":
    typer.run(main)
