"""Files of transactions: CSV or JSON lines, compressed or not, and Parquet."""
