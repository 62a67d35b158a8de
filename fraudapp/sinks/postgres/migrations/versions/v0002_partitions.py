"""Partition the table of decisions by UTC day, so that old days can be dropped at once."""

from datetime import datetime, timedelta, timezone

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Copy every row into a partitioned table; decisions wait in the log for that long."""
    op.execute("ALTER TABLE decisions RENAME TO decisions_before")
    op.execute("ALTER INDEX decisions_pkey RENAME TO decisions_before_pkey")
    op.execute("ALTER INDEX ix_decisions_decided_at RENAME TO ix_decisions_before_decided_at")
    op.execute(
        "CREATE TABLE decisions (LIKE decisions_before, PRIMARY KEY (transaction_id, decided_at)) "
        "PARTITION BY RANGE (decided_at)"
    )
    op.create_index("ix_decisions_decided_at", "decisions", ["decided_at"])
    op.execute("CREATE TABLE decisions_rest PARTITION OF decisions DEFAULT")
    # asyncpg has the earliest moment as -infinity; days far ahead come from clocks that are wrong.
    days = text(
        "SELECT DISTINCT (decided_at AT TIME ZONE 'UTC')::date FROM decisions_before "
        "WHERE isfinite(decided_at) AND decided_at >= '0001-01-02 00:00:00+00' "
        "AND decided_at < now() + interval '31 days'"
    )
    for day in op.get_bind().execute(days).scalars():
        begin = datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        op.execute(
            f"CREATE TABLE decisions_{day.isoformat().replace('-', '')} PARTITION OF decisions "
            f"FOR VALUES FROM ('{begin.isoformat()}') "
            f"TO ('{(begin + timedelta(days=1)).isoformat()}')"
        )
    op.execute("INSERT INTO decisions SELECT * FROM decisions_before")
    op.execute("DROP TABLE decisions_before")


def downgrade() -> None:
    """Copy every row back into one table, of several under one id the first."""
    op.execute("CREATE TABLE decisions_after (LIKE decisions, PRIMARY KEY (transaction_id))")
    op.execute(
        "INSERT INTO decisions_after SELECT * FROM decisions ORDER BY decided_at "
        "ON CONFLICT DO NOTHING"
    )
    op.execute("DROP TABLE decisions")
    op.execute("ALTER TABLE decisions_after RENAME TO decisions")
    op.execute("ALTER INDEX decisions_after_pkey RENAME TO decisions_pkey")
    op.create_index("ix_decisions_decided_at", "decisions", ["decided_at"])
