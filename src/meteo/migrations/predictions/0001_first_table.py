"""The prediction log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "predictions",
        sa.Column("prediction_id", sa.String(32), primary_key=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("station", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("observation", sa.JSON, nullable=False),
        sa.Column("probability", sa.Float, nullable=False),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("rain_tomorrow", sa.Boolean, nullable=False),
        sa.Column("model_version", sa.String(16), nullable=False),
    )
    op.create_index("predictions_subject", "predictions", ["subject", "made_at"])
    op.create_index("predictions_day", "predictions", ["day"])
