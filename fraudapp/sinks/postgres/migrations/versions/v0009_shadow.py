"""Keep what models that did not decide said of a transaction."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add their scores and outcomes; no row is rewritten."""
    op.execute("ALTER TABLE decisions ADD COLUMN shadow jsonb")


def downgrade() -> None:
    """Drop them; the topic still has them."""
    op.execute("ALTER TABLE decisions DROP COLUMN shadow")
