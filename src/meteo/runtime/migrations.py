"""Alembic migrations: each schema's tables are brought to the newest revision before they are used.

A schema's revisions are the modules `migrations/<schema>/NNNN_*.py` of its package, `NNNN` being the revision.
Databases that hold several schemas keep one version table for each.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from meteo.runtime.database import connected, writing

FIRST = "0001"
OTHERS = "other tables"
READ, ADD = "SELECT", "SELECT, INSERT"
CHANGE = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True)
class Schema:
    """The tables of `metadata`, whose migrations lie in `package`.

    `rights`: what a role of PostgreSQL may do with which table, `OTHERS` being those that are not named.
    """

    name: str
    metadata: MetaData
    package: str
    rights: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def version_table(self) -> str:
        return f"alembic_version_{self.name}"

    @property
    def head(self) -> str:
        """The newest revision."""
        return max(path.name[:4] for path in self._folder.glob("[0-9]*.py"))

    def upgrade(self, engine: Engine, revision: str = "head") -> None:
        """Bring the tables to `revision` in one transaction; one process does it, others wait.

        Tables that were made before there were migrations count as the first revision.
        """
        if revision == "head" and self.revision_of(engine) == self.head:
            return
        from alembic import command
        from alembic.config import Config

        # a service that starts waits for the one that is at it
        with connected(engine.url) as patient, writing(patient) as connection, _turn(connection):
            config = Config()
            config.set_main_option("script_location", str(files("meteo").joinpath("migrations")))
            config.set_main_option("version_locations", str(self._folder))
            config.set_main_option("path_separator", "newline")
            config.attributes.update(connection=connection, metadata=self.metadata, version_table=self.version_table)
            made = set(inspect(connection).get_table_names())
            if self.version_table not in made and made & set(self.metadata.tables):
                command.stamp(config, FIRST)
            command.upgrade(config, revision)

    def grant(self, engine: Engine) -> None:
        """Give the roles their rights on the tables, no more and no less; nothing where a role is not, or on SQLite. It
        is the tables' owner who can."""
        if engine.dialect.name != "postgresql":
            return
        with engine.begin() as connection:
            there = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
            for role, rights in self.rights.items():
                if role in there:
                    self._grant(connection, role, rights)

    def _grant(self, connection: Connection, role: str, rights: Mapping[str, str]) -> None:
        for table in (*self.metadata.tables, self.version_table):
            connection.execute(text(f'REVOKE ALL ON "{table}" FROM "{role}"'))
            allowed = READ if table == self.version_table else rights.get(table, rights.get(OTHERS))
            if allowed is None:
                continue
            connection.execute(text(f'GRANT {allowed} ON "{table}" TO "{role}"'))
            for column in inspect(connection).get_columns(table):
                own = {"table": f'"{table}"', "column": column["name"]}
                sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:table, :column)"), own)
                if sequence and "INSERT" in allowed:
                    connection.execute(text(f'GRANT USAGE ON SEQUENCE {sequence} TO "{role}"'))

    def revision_of(self, engine: Engine) -> str | None:
        """The revision the database is at; None before there is any."""
        with engine.connect() as connection:
            if not inspect(connection).has_table(self.version_table):
                return None
            revision: str | None = connection.scalar(text(f"SELECT version_num FROM {self.version_table}"))  # noqa: S608
            return revision

    @property
    def _folder(self) -> Path:
        return Path(str(files(self.package).joinpath("migrations"))) / self.name


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    """SQLite's write lock is held already; PostgreSQL needs a lock of its own."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('rain-tomorrow migrations'))"))
    yield
