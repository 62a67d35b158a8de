"""The archive: compressed files of JSON lines, on S3 or in a folder."""
