"""The pure core: what a transaction is, how it is scored, what is decided. No network or clock."""

__part_of__ = "fraudapp"
