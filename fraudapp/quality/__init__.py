"""How good decisions were: its cells on disk, and those of labels on every worker."""
