"""Files that people hand in, until an ingestion reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, insert, select, update

from meteo.archive.ingestions import refuse_mixture
from meteo.archive.tables import UPLOADS
from meteo.errors import InvalidInput
from meteo.runtime.database import writing

SOURCE = "upload"
"""What an ingestion of handed-in files has as its source."""
MOST_BYTES = 1_000_000
"""A month file has about 4,000."""
MOST_WAITING = 1000


@dataclass(frozen=True)
class Upload:
    id: int
    name: str


class Uploads:
    """Those of one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def put(self, name: str, content: bytes, by: str) -> Upload:
        """Keep a file; InvalidInput when it is empty, too large, or too many wait already, MixedSources when the store
        holds simulated observations."""
        if not 0 < len(content) <= MOST_BYTES:
            message = f"has {len(content):,} bytes; 1 to {MOST_BYTES:,} are taken"
            raise InvalidInput(f"{name}: {message}", [("body", message)])
        row = {"name": name, "content": content, "uploaded_by": by, "uploaded_at": datetime.now(UTC)}
        with writing(self._engine) as connection:
            refuse_mixture(connection, SOURCE)
            if len(connection.execute(_WAITING).all()) >= MOST_WAITING:
                raise InvalidInput(f"{MOST_WAITING} files wait to be read: have them ingested first")
            upload = connection.execute(insert(UPLOADS).values(row).returning(UPLOADS.c.id)).scalar_one()
        return Upload(upload, name)

    def waiting(self) -> Sequence[Upload]:
        """Those that no ingestion has read yet, oldest first."""
        with self._engine.connect() as connection:
            return [Upload(row.id, row.name) for row in connection.execute(_WAITING)]

    def content(self, upload: Upload) -> bytes:
        query = select(UPLOADS.c.content).where(UPLOADS.c.id == upload.id)
        with self._engine.connect() as connection:
            return bytes(connection.scalars(query).one())

    def read(self, upload: Upload) -> None:
        """It has been read; the landing has its bytes."""
        done = update(UPLOADS).where(UPLOADS.c.id == upload.id).values(read_at=datetime.now(UTC), content=b"")
        with writing(self._engine) as connection:
            connection.execute(done)


_WAITING = select(UPLOADS.c.id, UPLOADS.c.name).where(UPLOADS.c.read_at.is_(None)).order_by(UPLOADS.c.id)
