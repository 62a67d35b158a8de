"""Run by Alembic; the connection comes from `fraudapp.sinks.postgres.migrate`."""

from alembic import context

from fraudapp.sinks.postgres.schema import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
