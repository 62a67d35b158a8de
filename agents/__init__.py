"""The agent that consumes the transactions topic, and its pipeline."""

__part_of__ = "fraudapp"
