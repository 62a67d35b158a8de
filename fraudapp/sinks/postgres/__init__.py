"""Postgres: every decision for good, one row for each transaction id."""
