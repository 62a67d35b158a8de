"""The decisions topic, the index of each partition of it, and whoever waits for a decision."""
