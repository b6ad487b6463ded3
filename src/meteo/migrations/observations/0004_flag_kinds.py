"""Suspect values are named as in WMO's guide to quality control: step, persistence, internal consistency."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

RENAMED = {"jump": "step", "stuck": "persistence", "order": "consistency"}


def upgrade() -> None:
    with op.batch_alter_table("flags") as batch:
        batch.alter_column("kind", type_=sa.String(12), existing_type=sa.String(8), existing_nullable=False)
    flags = sa.table("flags", sa.column("kind", sa.String))
    for old, new in RENAMED.items():
        op.execute(flags.update().where(flags.c.kind == old).values(kind=new))
