"""Partition the table of decisions by UTC day, so that old days can be dropped at once."""

from alembic import op

from fraudapp.stores import partitions

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
    op.execute(f"CREATE TABLE {partitions.REST} PARTITION OF decisions DEFAULT")
    connection = op.get_bind()
    days = partitions.days_in(connection, "decisions_before")
    for day in partitions.foreseen(days, partitions.today(connection)):
        partitions.create(connection, day)
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
