"""Keep the transactions of any schema, whose fields are in a document of their own."""

from alembic import op

revision = "0005"
down_revision = "0004"

_FIELDS = (
    *("step", "type", "amount"),
    *("name_orig", "oldbalance_org", "newbalance_orig"),
    *("name_dest", "oldbalance_dest", "newbalance_dest"),
    *("is_fraud", "is_flagged_fraud"),
)


def upgrade() -> None:
    """Add the document, and let PaySim's columns be empty; no row is rewritten."""
    op.execute("ALTER TABLE decisions ADD COLUMN transaction jsonb, ADD COLUMN schema_version text")
    # One statement, so that every day's partition is locked and looked at once.
    op.execute(
        "ALTER TABLE decisions "
        + ", ".join(f"ALTER COLUMN {column} DROP NOT NULL" for column in _FIELDS)
    )


def downgrade() -> None:
    """Drop the document; fails while there are transactions of another schema than PaySim's."""
    op.execute(
        "ALTER TABLE decisions "
        + ", ".join(f"ALTER COLUMN {column} SET NOT NULL" for column in _FIELDS)
    )
    op.execute("ALTER TABLE decisions DROP COLUMN transaction, DROP COLUMN schema_version")
