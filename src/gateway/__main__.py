"""`python -m gateway`: serve the gateway; `python -m gateway users …`: accounts from the shell."""

import os
import secrets
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI

from gateway import tables as gateway_tables
from gateway.airflow import Airflow
from gateway.api_keys import Keys
from gateway.app import create_app
from gateway.audit import Audit
from gateway.dependencies import Services
from gateway.http_protocol import StrictHttpProtocol
from gateway.mlflow import Mlflow
from gateway.model_api import ModelApi
from gateway.rate_limits import Limiter, Rates
from gateway.sessions import Sessions
from gateway.tokens import AccessTokens
from gateway.upstream import Upstream
from gateway.users import Role, Users, bootstrap
from meteo.archive import tables
from meteo.forecasts import tables as forecast_tables
from meteo.runtime import job, logs, tracing
from meteo.runtime.database import SERVICE, connect
from meteo.runtime.private_files import keep_private
from meteo.runtime.service_tokens import ServiceTokens
from meteo.runtime.settings import Gateway, Settings

UPSTREAM_SECONDS = 4.5
"""Less than a request has, so that who asks hears which service does not answer."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
users_app = typer.Typer(help="Accounts.")
app.add_typer(users_app, name="users")


@app.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Serve the gateway."""
    if context.invoked_subcommand is not None:
        return
    settings = Settings()
    keep_private(settings.home)
    for value, variable in (
        (settings.service_secret, "METEO_SERVICE_SECRET"),
        (settings.gateway.jwt_secret, "METEO_GATEWAY__JWT_SECRET"),
    ):
        settings.secret(value, variable)
    served: FastAPI | str = "gateway.__main__:door"
    with TemporaryDirectory() as metrics:
        if settings.gateway.workers == 1:
            served = door()
        else:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
        uvicorn.run(
            served,
            factory=isinstance(served, str),
            workers=settings.gateway.workers,
            host=settings.gateway.host,
            port=settings.gateway.port,
            log_config=None,
            access_log=False,
            http=StrictHttpProtocol,
            forwarded_allow_ips=settings.gateway.trusted_proxies,
            server_header=False,
        )


def door() -> FastAPI:
    """The gateway of the settings, as each worker makes it."""
    settings = Settings()
    logs.configure("gateway", settings.log_level)
    tracing.configure("gateway", settings.otlp_endpoint)
    engine = connect(settings.gateway_url, SERVICE)
    model_api, airflow, mlflow = (
        Upstream(name, address, UPSTREAM_SECONDS)
        for name, address in (
            ("the model API", settings.api_model.address),
            ("Airflow", settings.airflow.address),
            ("MLflow", settings.mlflow.private_address),
        )
    )
    known = settings.gateway
    tokens = AccessTokens(
        settings.secret(known.jwt_secret, "METEO_GATEWAY__JWT_SECRET"),
        known.access_minutes,
        settings.secret(known.jwt_secret_previous, "METEO_GATEWAY__JWT_SECRET_PREVIOUS")
        if known.jwt_secret_previous.get_secret_value()
        else "",
    )
    services = Services(
        Users(engine),
        Sessions(engine, tokens, settings.gateway.refresh_days),
        Audit(engine),
        Keys(engine),
        Limiter(_rates(settings.gateway)),
        settings.gateway.registration == "open",
        ModelApi(model_api, ServiceTokens(settings.secret(settings.service_secret, "METEO_SERVICE_SECRET"))),
        Airflow(airflow, engine, settings.airflow.username, settings.airflow.password.get_secret_value()),
        Mlflow(mlflow, settings.monitoring.experiment),
        settings.train.kind,
    )
    return create_app(services, [model_api, airflow, mlflow], settings.gateway.body_limit_bytes)


def _rates(gateway: Gateway) -> Rates:
    return Rates(
        gateway.limits.get_secret_value(),
        gateway.predictions_user,
        gateway.predictions_admin,
        gateway.failures_per_account,
        gateway.failures_per_peer,
        gateway.batch_rows_user,
        gateway.batch_rows_admin,
    )


@app.command()
def migrate() -> None:
    """Bring all tables to their newest form, as their owner, and give each service's role its rights on them."""
    settings = Settings()

    def work() -> dict[str, Any]:
        done = {}
        for schema, address in (
            (tables.SCHEMA, settings.observations_url),
            (forecast_tables.SCHEMA, settings.predictions_url),
            (gateway_tables.SCHEMA, settings.gateway_url),
        ):
            engine = connect(address)
            schema.upgrade(engine)
            schema.grant(engine)
            done[schema.name] = schema.head
            engine.dispose()
        return done

    job.run("migrate", settings, work)


@users_app.command("bootstrap")
def bootstrap_users(
    file: Annotated[Path, typer.Option(help="where the first logins are written, mode 0600")],
) -> None:
    """Make the first admin and the first user with random passwords; does nothing where they exist."""
    _on_users(lambda users: {"made": bootstrap(users, file)})


@users_app.command("list")
def list_users() -> None:
    """All accounts."""
    _on_users(lambda users: {"users": [asdict(user) for user in users.all()]})


@users_app.command("add")
def add_user(username: str, role: Annotated[Role, typer.Option()] = "user") -> None:
    """Make an account; its password is printed once and must be changed at the first login."""
    password = secrets.token_urlsafe(15)
    _on_users(lambda users: {**asdict(users.add(username, password, role, must_change=True)), "password": password})


@users_app.command("change")
def change_user(
    username: str,
    role: Annotated[Role | None, typer.Option()] = None,
    enabled: Annotated[bool | None, typer.Option()] = None,
) -> None:
    """Change a role, or whether somebody may enter."""
    _on_users(lambda users: asdict(users.change(username, role, enabled)))


@users_app.command("reset")
def reset_password(username: str) -> None:
    """Give an account a new password, printed once, which must be changed; all its sessions end."""
    password = secrets.token_urlsafe(15)

    def work(users: Users) -> dict[str, Any]:
        users.set_password(username, password, must_change=True)
        return {"username": username, "password": password}

    _on_users(work)


@users_app.command("delete")
def delete_user(username: str) -> None:
    """Remove an account with its sessions and keys."""

    def work(users: Users) -> dict[str, Any]:
        users.delete(username)
        return {"deleted": username}

    _on_users(work)


def _on_users(work: Callable[[Users], dict[str, Any]]) -> None:
    settings = Settings()

    def job_work() -> dict[str, Any]:
        users = Users(connect(settings.gateway_url))
        users.create_tables()
        return work(users)

    job.run("users", settings, job_work)


if __name__ == "__main__":
    app()
