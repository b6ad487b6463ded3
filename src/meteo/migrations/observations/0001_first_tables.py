"""Observations, their revisions, ingestions and quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBERS = [
    *("min_temp", "max_temp", "rainfall", "evaporation", "sunshine", "wind_gust_speed"),
    *("temp_9am", "humidity_9am", "cloud_9am", "wind_speed_9am", "pressure_9am"),
    *("temp_3pm", "humidity_3pm", "cloud_3pm", "wind_speed_3pm", "pressure_3pm"),
]


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "observations",
        sa.Column("station", sa.String(32), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        *(sa.Column(name, sa.Float) for name in _NUMBERS),
        *(sa.Column(name, sa.String(3)) for name in ("wind_gust_dir", "wind_dir_9am", "wind_dir_3pm")),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("product", sa.String(16), nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("changed_at", moment, nullable=False),
    )
    op.create_index("observations_day", "observations", ["day"])
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("field", sa.String(20), nullable=False),
        sa.Column("old", sa.String(12)),
        sa.Column("new", sa.String(12), nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("changed_at", moment, nullable=False),
    )
    op.create_index("revisions_key", "revisions", ["station", "day"])
    op.create_table(
        "ingestions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.String(8), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("finished_at", moment),
        sa.Column("state", sa.String(8), nullable=False),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("files", "bytes", "new", "changed", "unchanged", "quarantined")
        ),
        sa.Column("problems", sa.JSON, nullable=False),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("station", sa.String(32), nullable=False),
        sa.Column("day", sa.Date),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("row", sa.JSON, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
    )
    op.create_index("ix_quarantine_run_id", "quarantine", ["run_id"])
