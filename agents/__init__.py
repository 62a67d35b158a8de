"""Agents: what consumes topics."""
