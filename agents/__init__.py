"""Agents: what consumes topics."""

__part_of__ = "fraudapp"
