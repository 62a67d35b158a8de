"""Alembic migrations of the Postgres sink."""
