"""The decision log, this worker's index of each partition of it, and callers who wait."""
