from datetime import UTC, date, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from gateway import tables as gateway_tables
from meteo.archive import tables
from meteo.archive.store import ObservationStore
from meteo.forecasts import tables as forecast_tables
from meteo.runtime.database import connect
from meteo.runtime.migrations import Schema

SCHEMAS = [tables.SCHEMA, forecast_tables.SCHEMA, gateway_tables.SCHEMA]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_the_migrations_make_exactly_the_tables_the_code_uses(schema: Schema, database: str) -> None:
    engine = connect(database)
    schema.upgrade(engine)
    assert schema.revision_of(engine) == schema.head
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.version_table, "compare_type": True}
        )
        assert compare_metadata(context, schema.metadata) == []
        indexes = {
            index["name"] for table in schema.metadata.tables for index in inspect(connection).get_indexes(table)
        }
    assert {index.name for table in schema.metadata.tables.values() for index in table.indexes} <= indexes
    engine.dispose()


def test_all_schemas_live_in_one_database_and_upgrading_again_does_nothing(database: str) -> None:
    engine = connect(database)
    for schema in SCHEMAS * 2:
        schema.upgrade(engine)
    assert {schema.revision_of(engine) == schema.head for schema in SCHEMAS} == {True}
    engine.dispose()


def test_suspect_values_of_an_older_store_bear_the_names_of_today(database: str) -> None:
    engine = connect(database)
    tables.SCHEMA.upgrade(engine, "0003")
    put = text("INSERT INTO flags VALUES ('Sydney', :day, 'temp_9am', :kind, 'why')")
    with engine.begin() as connection:
        for kind in ("range", "jump", "stuck", "order"):
            connection.execute(put, {"day": date(2017, 1, 1), "kind": kind})
    store = ObservationStore(engine)
    store.create()
    with engine.connect() as connection:
        kinds = connection.scalars(text("SELECT kind FROM flags ORDER BY kind")).all()
    assert kinds == ["consistency", "persistence", "range", "step"]
    engine.dispose()


@pytest.mark.parametrize("stamped", [True, False])
def test_an_older_store_keeps_its_rows_and_learns_their_sites(database: str, stamped: bool) -> None:
    engine = connect(database)
    tables.SCHEMA.upgrade(engine, "0001")
    row = {"day": date(2017, 1, 1), "source": "file", "run_id": 1, "at": datetime(2017, 1, 2, tzinfo=UTC)}
    put = text(
        "INSERT INTO observations (station, day, rainfall, source, product, run_id, changed_at) "
        "VALUES (:station, :day, 2.5, :source, :product, :run_id, :at)"
    )
    with engine.begin() as connection:
        for place, product in (("Adelaide", "weatherAUS"), ("Newcastle", "IDCJDW2097"), ("Sydney", "IDCJDW2124")):
            connection.execute(put, {**row, "station": place, "product": product})
        if not stamped:
            connection.execute(text(f"DROP TABLE {tables.SCHEMA.version_table}"))
    store = ObservationStore(engine)
    store.create()
    assert store.window().column("rainfall").tolist() == [2.5] * 3
    sites = [
        store.provenance(name, None, None)[date(2017, 1, 1)]["site"] for name in ("Adelaide", "Newcastle", "Sydney")
    ]
    assert sites == ["023090", "061055", "066214"]
    engine.dispose()
