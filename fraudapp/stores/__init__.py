"""Where decisions are kept: Redis for the latest, Postgres for history, S3 or a folder for files."""
