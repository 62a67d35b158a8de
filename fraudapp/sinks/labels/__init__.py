"""Labels in Postgres and in the archive, each brought there from the labelled topic."""
