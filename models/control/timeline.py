"""Lists and caps as they were at any offset of the control log, and at any moment.

A `ControlState` is moved forward only. A backtest asks for one offset after the other, mostly the
same or the next, and sometimes an earlier one: decisions of several workers interleave.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import cast

from models.control.chain import Chain
from models.control.dated_entries import DatedEntries
from models.control.lists import MAX_ENTRIES
from models.control.records import CapKey, ControlRecord, Listed, ListKey, Published, Removed
from models.control.state import Change, ControlState
from models.policies.ruling import NO_CAPS, Begun


class Timeline:
    """All that the control log has said, by offset; each change of a list takes 200 bytes."""

    def __init__(self) -> None:
        self.next_offset = 0
        """Of the control log: all records before it are in here."""
        self._state = ControlState()  # without any lists, which would be there twice
        self._lists: dict[str, DatedEntries] = {}
        self._entries = 0
        self._caps: defaultdict[str, list[tuple[int, Begun]]] = defaultdict(list)

    @property
    def chain(self) -> Chain:
        """The policies, as of the end of the log."""
        return self._state.chain

    @property
    def models(self) -> Mapping[str, Published]:
        """The models by version, as of the end of the log."""
        return self._state.models

    def apply(self, record: ControlRecord) -> None:
        """Take the next record of the log in."""
        self.next_offset = record.offset + 1
        match record.key:
            case ListKey(name=name, value=entry):
                self._change(name, entry, cast("Listed | Removed", record.value), record.offset)
            case CapKey(policy=policy) if self._state.apply(record) is Change.CAPS:
                self._caps[policy].append((record.offset, self._state.caps[policy].in_force))
            case CapKey():
                pass
            case _:
                self._state.apply(record)

    def keep(self, names: Collection[str]) -> None:
        """Forget all lists but these."""
        self._lists = {name: each for name, each in self._lists.items() if name in names}

    def at(
        self, offset: int | None, now: datetime, latest: Collection[str] = ()
    ) -> Mapping[str, Collection[str]]:
        """Return the entries of lists at a moment, by all records before an offset.

        Those of the lists named in `latest`, and of all for None, are by all records. What is
        returned changes with the next call of any method.
        """
        return {
            name: each.at(None if name in latest else offset, now)
            for name, each in self._lists.items()
        }

    def caps(self, policy: str, offset: int) -> Begun:
        """Return the caps of a policy (its id) that had begun by all records before an offset."""
        changes = self._caps.get(policy, [])
        place = bisect_left(changes, offset, key=lambda each: each[0])
        return changes[place - 1][1] if place else NO_CAPS

    def expiries(self) -> list[datetime]:
        """Return all moments at which an entry of any list may end, in their order."""
        return sorted({moment for each in self._lists.values() for moment in each.expiries()})

    def _change(self, name: str, entry: str, value: Listed | Removed, offset: int) -> None:
        known = self._lists.setdefault(name, DatedEntries())
        if isinstance(value, Removed):
            self._entries -= known.remove(entry, offset)
        elif self._entries < MAX_ENTRIES or entry in known:
            self._entries += known.add(entry, value.expires_at, offset)
