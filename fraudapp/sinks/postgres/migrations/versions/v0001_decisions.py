"""Create the table of decisions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the table and the index that daily reports read by."""
    op.create_table(
        "decisions",
        sa.Column("transaction_id", sa.Text(), primary_key=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("input_topic", sa.Text(), nullable=False),
        sa.Column("input_partition", sa.Integer(), nullable=False),
        sa.Column("input_offset", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.Column("name_orig", sa.Text(), nullable=False),
        sa.Column("oldbalance_org", sa.Double(), nullable=False),
        sa.Column("newbalance_orig", sa.Double(), nullable=False),
        sa.Column("name_dest", sa.Text(), nullable=False),
        sa.Column("oldbalance_dest", sa.Double(), nullable=False),
        sa.Column("newbalance_dest", sa.Double(), nullable=False),
        sa.Column("is_fraud", sa.SmallInteger(), nullable=False),
        sa.Column("is_flagged_fraud", sa.SmallInteger(), nullable=False),
    )
    op.create_index("ix_decisions_decided_at", "decisions", ["decided_at"])


def downgrade() -> None:
    """Drop the table, and every decision in it."""
    op.drop_table("decisions")
