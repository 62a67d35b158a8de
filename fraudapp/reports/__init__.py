"""The daily report: added up in Postgres and Kafka, rendered as a page and a table."""
