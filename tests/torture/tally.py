"""Counts of the faults that a cluster was given."""

from __future__ import annotations

from collections import Counter


class Tally:
    """Names of kills, and of all other faults."""

    def __init__(self) -> None:
        self.kills: list[str] = []
        self.faults: list[str] = []

    @property
    def calm(self) -> bool:
        """Whether there was no fault."""
        return not (self.kills or self.faults)

    def __str__(self) -> str:
        done = Counter(self.kills) + Counter(self.faults)
        return ", ".join(f"{count} {name}" for name, count in sorted(done.items())) or "nothing"
