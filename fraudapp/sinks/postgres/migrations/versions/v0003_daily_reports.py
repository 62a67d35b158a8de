"""Create the table of daily reports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create it, one row a UTC day."""
    op.create_table(
        "daily_reports",
        sa.Column("date", sa.Date(), primary_key=True),
        sa.Column("decisions", sa.BigInteger(), nullable=False),
        sa.Column("report", postgresql.JSONB(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Drop it; reports can be made again as long as the decisions are there."""
    op.drop_table("daily_reports")
