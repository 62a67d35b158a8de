"""Files of transactions, as people have them: CSV or JSON lines, packed or not."""
