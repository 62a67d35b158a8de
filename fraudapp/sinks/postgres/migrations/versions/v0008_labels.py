"""Keep labels: what each source says of a transaction that was decided."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table; its rows go with the decisions that they are about, by `decided_at`."""
    op.execute(
        """
        CREATE TABLE labels (
            transaction_id text NOT NULL,
            source text NOT NULL,
            label smallint NOT NULL,
            at timestamptz NOT NULL,
            by text NOT NULL,
            effective boolean NOT NULL,
            input_partition integer NOT NULL,
            input_offset bigint NOT NULL,
            version bigint NOT NULL,
            decided_at timestamptz NOT NULL,
            CONSTRAINT pk_labels PRIMARY KEY (transaction_id, source)
        )
        """
    )
    op.execute("CREATE INDEX ix_labels_decided_at ON labels (decided_at)")


def downgrade() -> None:
    """Drop it; the topics still have all labels."""
    op.execute("DROP TABLE labels")
