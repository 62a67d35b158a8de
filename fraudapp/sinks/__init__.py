"""Where decisions are kept: Redis (the latest), Postgres (history), S3 or a folder (files)."""
