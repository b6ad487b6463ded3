"""Sites of observations, flags of suspect values, a ledger of files, decisions on quarantined rows.

Rows that were stored before get the site of their station's product. Rows that were quarantined before are read again
from the landing by `python -m ingest replay`, so they are not carried over.
"""

import sqlalchemy as sa
from alembic import op

from meteo.station import stations

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("observations", sa.Column("site", sa.String(6), nullable=True))
    table = sa.table("observations", sa.column("station"), sa.column("product"), sa.column("site"))
    for place in stations().values():
        for product in ("weatherAUS", place.bom_product, *place.other_products.split()):
            op.execute(
                sa.update(table)
                .where(table.c.station == place.name, table.c.product == product)
                .values(site=place.site_of(product))
            )
    with op.batch_alter_table("observations") as batch:
        batch.alter_column("site", existing_type=sa.String(6), nullable=False)
    with op.batch_alter_table("revisions") as batch:
        batch.alter_column("new", existing_type=sa.String(12), nullable=True)
    op.add_column("ingestions", sa.Column("seconds", sa.Float, nullable=False, server_default="0"))
    op.add_column("ingestions", sa.Column("resumes", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "flags",
        sa.Column("station", sa.String(32), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("field", sa.String(20), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("detail", sa.String(200), nullable=False),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("ingestions.id"), nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("product", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reader", sa.Integer, nullable=False),
        sa.Column("selection", sa.String(800), nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("new", "changed", "unchanged", "quarantined")),
        sa.Column("etag", sa.String(200)),
        sa.Column("last_modified", sa.String(64)),
        sa.Column("at", moment, nullable=False),
        sa.UniqueConstraint("run_id", "name", name="files_key"),
    )
    op.create_index("files_name", "files", ["source", "name"])
    op.drop_index("ix_quarantine_run_id", "quarantine")
    op.drop_table("quarantine")
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("product", sa.String(16), nullable=False),
        sa.Column("site", sa.String(6), nullable=False),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("station", sa.String(32), nullable=False),
        sa.Column("day", sa.Date),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("row", sa.JSON, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", moment),
    )
    op.create_index("quarantine_state", "quarantine", ["state"])
    op.create_table(
        "sightings",
        sa.Column("run_id", sa.Integer, primary_key=True),
        sa.Column("quarantine_id", sa.Integer, sa.ForeignKey("quarantine.id"), primary_key=True),
    )
