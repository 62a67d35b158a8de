"""Labels that were read, and are not in profiles before their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Final

from fraudapp.labels.records import LabelledRecord
from models.profiles.labels import due

MAX_WAITING: Final = 50_000
"""Labels that wait in memory, at most; others wait in the topic."""


class DueLabels:
    """Labels by the second from which on decisions see them."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._waiting: list[tuple[float, int, LabelledRecord]] = []
        self._number = count()
        self._left: dict[int, dict[int, None]] = {}  # offsets that wait, by partition, in order
        self._read: dict[int, int] = {}

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return len(self._waiting) < MAX_WAITING

    def next_offset(self, partition: int) -> int:
        """Return up to where a partition was read; 0 if nothing of it was."""
        return self._read.get(partition, 0)

    def add(self, records: Sequence[LabelledRecord], next_offsets: Mapping[int, int]) -> None:
        """Add records that were read, of each partition up to the next offset.

        Those that were added before change nothing.
        """
        for each in records:
            if each.offset < self.next_offset(each.partition):
                continue
            self._left.setdefault(each.partition, {})[each.offset] = None
            entry = due(each.written_at / 1_000, self._delay), next(self._number), each
            heappush(self._waiting, entry)
        self._read |= next_offsets

    def is_due(self, second: float) -> bool:
        """Whether decisions of a second see labels that wait here."""
        return bool(self._waiting) and self._waiting[0][0] <= second

    def overdue(self, second: float) -> float:
        """Return for how many seconds labels wait that decisions of a second were to see."""
        return max(0.0, second - self._waiting[0][0]) if self._waiting else 0.0

    def take(self, second: float, most: int) -> list[LabelledRecord]:
        """Take out labels that decisions of a second see, those that are due first."""
        found: list[LabelledRecord] = []
        while len(found) < most and self.is_due(second):
            record = heappop(self._waiting)[2]
            del self._left[record.partition][record.offset]
            found.append(record)
        return found

    def next_offsets(self) -> dict[int, int]:
        """Return from where each partition has to be read after a crash."""
        return {
            partition: next(iter(self._left.get(partition) or ()), end)
            for partition, end in self._read.items()
        }
