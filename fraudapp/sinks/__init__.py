"""The sinks of decisions: Redis (the latest), Postgres (all of them), the archive (files)."""
