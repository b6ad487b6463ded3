"""Alembic migrations: each schema's tables are brought to the newest revision before they are used.

A schema's revisions are the modules `migrations/<schema>/NNNN_*.py` of its package, `NNNN` being the revision.
Databases that hold several schemas keep one version table for each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine, MetaData, inspect, text

from meteo.database import writing

FIRST = "0001"


@dataclass(frozen=True)
class Schema:
    """The tables of `metadata`, whose migrations lie in `package`."""

    name: str
    metadata: MetaData
    package: str

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
        with writing(engine) as connection, _turn(connection):
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(files("meteo").joinpath("migrations")))
            config.set_main_option("version_locations", str(self._folder))
            config.set_main_option("path_separator", "newline")
            config.attributes.update(connection=connection, metadata=self.metadata, version_table=self.version_table)
            made = set(inspect(connection).get_table_names())
            if self.version_table not in made and made & set(self.metadata.tables):
                command.stamp(config, FIRST)
            command.upgrade(config, revision)

    def revision_of(self, engine: Engine) -> str | None:
        """The revision the database is at; None before there is any."""
        with engine.connect() as connection:
            if not inspect(connection).has_table(self.version_table):
                return None
            found: str | None = connection.scalar(text(f"SELECT version_num FROM {self.version_table}"))  # noqa: S608
            return found

    @property
    def _folder(self) -> Path:
        return Path(str(files(self.package).joinpath("migrations"))) / self.name


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    """SQLite's write lock is held already; PostgreSQL needs a lock of its own."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('rain-tomorrow migrations'))"))
    yield
