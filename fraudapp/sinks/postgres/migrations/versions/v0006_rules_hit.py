"""Keep which rules hit each transaction."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the ids of the rules that hit; no row is rewritten."""
    op.execute("ALTER TABLE decisions ADD COLUMN hits jsonb")


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE decisions DROP COLUMN hits")
