"""The daily report: summed up in Postgres and Kafka, rendered as a page and a table."""
