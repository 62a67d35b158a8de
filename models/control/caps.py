"""The caps of a policy that have begun and not ended."""

from __future__ import annotations

from models.control.records import CapKey, Capped
from models.policies.ruling import Begun


class Caps:
    """Begins and ends the caps of one policy in the order of the log."""

    def __init__(self) -> None:
        self.begun: dict[str, Capped] = {}
        """By rule; the one on all that is blocked under an empty name."""
        self.since: dict[str, int] = {}
        """When each of them began, by the broker's clock: milliseconds since 1970."""
        self.next_offset = 0
        """Of the control log, after the last record that has changed one."""

    @property
    def in_force(self) -> Begun:
        """What decides of them."""
        return Begun("" in self.begun, frozenset(self.begun) - {""})

    def apply(self, key: CapKey, value: Capped, offset: int, written_at: int = 0) -> bool:
        """Begin or end a cap; return whether that changes anything."""
        if value.on is (key.rule in self.begun):
            return False
        if value.on:
            self.begun[key.rule] = value
            self.since[key.rule] = written_at
        else:
            del self.begun[key.rule], self.since[key.rule]
        self.next_offset = offset + 1
        return True
