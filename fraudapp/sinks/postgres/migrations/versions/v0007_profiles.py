"""Keep what was known of the accounts when a transaction was decided."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the values of profiles, and what chance let through; no row is rewritten."""
    op.execute(
        "ALTER TABLE decisions ADD COLUMN profile jsonb, ADD COLUMN profile_version text, "
        "ADD COLUMN profile_lag double precision, ADD COLUMN explored double precision"
    )


def downgrade() -> None:
    """Drop them."""
    op.execute(
        "ALTER TABLE decisions DROP COLUMN profile, DROP COLUMN profile_version, "
        "DROP COLUMN profile_lag, DROP COLUMN explored"
    )
