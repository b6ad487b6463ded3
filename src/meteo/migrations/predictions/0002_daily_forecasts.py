"""What is kept of predictions that are removed, and the way to the oldest."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "daily_forecasts",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("station", sa.String(32), primary_key=True),
        sa.Column("model_version", sa.String(16), primary_key=True),
        sa.Column("bin", sa.Integer, primary_key=True),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
        sa.Column("squared", sa.Float, nullable=False),
    )
    op.create_index("predictions_made_at", "predictions", ["made_at"])
