"""Create the function by which decisions are looked up."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create it.

    With the partitions of a year, planning a look-up takes most of its time. A function keeps its
    plan as long as the connection to Postgres lasts, whoever calls it through a pooler.
    """
    op.execute(
        """
        CREATE FUNCTION find_decisions(ids text[]) RETURNS SETOF decisions
        LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
        BEGIN
            RETURN QUERY SELECT * FROM decisions WHERE transaction_id = ANY(ids);
        END
        $$
        """
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP FUNCTION find_decisions(text[])")
