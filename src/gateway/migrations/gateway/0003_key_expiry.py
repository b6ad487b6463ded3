"""API keys end: those that there are a year after they were made."""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("api_keys", sa.Column("expires_at", moment))
    keys = sa.table("api_keys", sa.column("prefix"), sa.column("created_at", moment), sa.column("expires_at", moment))
    connection = op.get_bind()
    for prefix, created_at in connection.execute(sa.select(keys.c.prefix, keys.c.created_at)).all():
        ends = {"expires_at": created_at + timedelta(days=365)}
        connection.execute(keys.update().where(keys.c.prefix == prefix).values(ends))
    with op.batch_alter_table("api_keys") as table:
        table.alter_column("expires_at", nullable=False)
