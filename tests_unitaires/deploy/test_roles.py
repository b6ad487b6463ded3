"""What each service's role may do on a real PostgreSQL, after the containers' own script and migrations."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from gateway import tables as gateway_tables
from meteo.archive import tables
from meteo.forecasts import tables as forecast_tables
from meteo.runtime.database import connect

REPOSITORY = Path(__file__).resolve().parents[2]
ROLES = ("gateway", "api_model", "jobs", "retention")


@pytest.fixture(scope="module")
def owned(postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The owner's address of a database with roles, tables and rights, all given twice: an upgrade gives them again."""
    secrets, address = tmp_path_factory.mktemp("roles") / "secrets", postgres()
    runpy.run_path(str(REPOSITORY / "deploy/containers/make_secrets.py"))["fill"](secrets)
    url = make_url(address)
    script = ["psql", "-X", "-U", "meteo", "-h", str(url.query["host"]), "-d", str(url.database), "-f",
              str(REPOSITORY / "deploy/containers/databases.sql")]  # fmt: skip
    stores = {f"METEO_STORE__{name}_URL": address for name in ("OBSERVATIONS", "PREDICTIONS", "GATEWAY")}
    for _ in range(2):
        subprocess.run(script, env={**os.environ, "SECRETS": str(secrets)}, check=True, capture_output=True)
        subprocess.run([sys.executable, "-m", "gateway", "migrate"], check=True, capture_output=True, cwd=REPOSITORY,
                       env={**os.environ, "METEO_HOME": str(secrets.parent), **stores})  # fmt: skip
    return address


@pytest.fixture(scope="module")
def engines(owned: str) -> Iterator[dict[str, Engine]]:
    found = {role: connect(owned.replace("//meteo@", f"//{role}@")) for role in ROLES}
    yield found
    for engine in found.values():
        engine.dispose()


def may(engine: Engine, statement: str) -> bool:
    """Whether a role may run it; nothing is kept."""
    with engine.connect() as connection:
        try:
            connection.execute(text(statement))
        except ProgrammingError as error:
            if "permission denied" in str(error) or "must be owner" in str(error):
                return False
            raise
        finally:
            connection.rollback()
    return True


def read(table: str) -> str:
    return f"SELECT * FROM {table}"  # noqa: S608


def empty(table: str) -> str:
    return f"DELETE FROM {table}"  # noqa: S608


AUDITED = """INSERT INTO audit (at, actor, action, outcome, address, request_id, detail)
VALUES (now(), 'a', 'b', 'c', '', '', '{}')"""


def test_the_audit_trail_can_only_grow_by_the_gateway(engines: dict[str, Engine]) -> None:
    gateway = engines["gateway"]
    assert may(gateway, AUDITED)
    assert may(gateway, "SELECT * FROM audit")
    for statement in ("UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit", "DROP TABLE audit",
                      "ALTER TABLE audit ADD COLUMN x int"):  # fmt: skip
        assert not may(gateway, statement), statement
    assert may(engines["retention"], "DELETE FROM audit WHERE at < now()")
    assert not may(engines["retention"], "UPDATE audit SET actor = 'nobody'")
    assert not may(engines["retention"], AUDITED)
    for role in ("api_model", "jobs"):
        assert not may(engines[role], "SELECT * FROM audit"), role


@pytest.mark.parametrize("metadata", [tables.METADATA, forecast_tables.METADATA], ids=["observations", "predictions"])
def test_only_jobs_change_what_was_observed_and_foretold(engines: dict[str, Engine], metadata: Any) -> None:
    for table in metadata.tables:
        assert may(engines["jobs"], empty(table)), table
        assert may(engines["api_model"], read(table)), table
        assert not may(engines["api_model"], empty(table)), table
        for role in ("gateway", "retention"):
            assert not may(engines[role], read(table)), (role, table)


def test_nobody_but_the_gateway_reads_accounts(engines: dict[str, Engine]) -> None:
    for table in ("users", "api_keys", "sessions"):
        assert may(engines["gateway"], empty(table)), table
        for role in ("api_model", "jobs"):
            assert not may(engines[role], read(table)), (role, table)
    assert not may(engines["retention"], "SELECT * FROM users")


def test_no_service_makes_tables_or_enters_another_programs_database(engines: dict[str, Engine], owned: str) -> None:
    for role, engine in engines.items():
        assert not may(engine, "CREATE TABLE mine (id int)"), role
    admin = connect(owned)
    for role in ROLES:
        for database in ("mlflow", "airflow"):
            allowed = f"SELECT has_database_privilege('{role}', '{database}', 'CONNECT')"
            with admin.connect() as connection:
                assert not connection.scalar(text(allowed)), (role, database)
    admin.dispose()


def test_a_service_starts_with_its_role_where_the_tables_are_up_to_date(engines: dict[str, Engine]) -> None:
    gateway_tables.SCHEMA.upgrade(engines["gateway"])
    gateway_tables.SCHEMA.upgrade(engines["retention"])
    assert may(engines["gateway"], "SELECT * FROM users")
    assert may(engines["retention"], "SELECT * FROM sessions")
    for role in ("api_model", "jobs"):
        tables.SCHEMA.upgrade(engines[role])
        forecast_tables.SCHEMA.upgrade(engines[role])
        for table in (*tables.METADATA.tables, *forecast_tables.METADATA.tables):
            assert may(engines[role], read(table)), (role, table)


def test_mlflow_and_airflow_own_their_databases_and_what_was_in_them(
    owned: str, tmp_path: Path, engines: dict[str, Engine]
) -> None:
    admin = connect(owned.replace(str(make_url(owned).database), "mlflow"))
    with admin.begin() as connection:
        owner = connection.scalar(
            text("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()")
        )
    admin.dispose()
    assert owner == "mlflow"
    program = connect(owned.replace("//meteo@", "//mlflow@").replace(str(make_url(owned).database), "mlflow"))
    assert may(program, "CREATE TABLE runs (id int)")
    program.dispose()
