"""The entries of lists with all that is known of each, as of an offset of the control log."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from fraudapp.cli.candidates import moment
from models.control.records import ControlRecord, Listed, ListKey, Removed


class Entry(NamedTuple):
    """An entry, and the record that has added it last."""

    listed: Listed
    written_at: int
    """Milliseconds since 1970, by the broker's clock."""

    def is_there(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.listed.expires_at is None or now < self.listed.expires_at

    def fields(self, name: str, value: str) -> dict[str, Any]:
        """Return it for JSON."""
        expires_at = self.listed.expires_at
        return {
            "list": name,
            "value": value,
            "expires_at": expires_at.isoformat() if expires_at else None,
            "author": self.listed.author,
            "note": self.listed.note,
            "written_at": moment(self.written_at),
        }


class Entries:
    """Reads entries from records of the control log; expired ones stay."""

    def __init__(self, name: str | None = None, before: int | None = None) -> None:
        """Of one list, or of all; from records before an offset, or from all."""
        self.lists: Final[defaultdict[str, dict[str, Entry]]] = defaultdict(dict)
        """By name and value, those that were added last at the end."""
        self._name = name
        self._before = before
        # A million entries mostly say the same.
        self._said: dict[Listed, Listed] = {}

    def take(self, record: ControlRecord) -> None:
        """Take the next record of the log in."""
        key = record.key
        if not isinstance(key, ListKey) or self._name not in (None, key.name):
            return
        if self._before is not None and record.offset >= self._before:
            return
        entries = self.lists[key.name]
        entries.pop(key.value, None)
        if not isinstance(record.value, Removed):
            listed = cast(Listed, record.value)
            said = self._said.setdefault(listed, listed)
            entries[key.value] = Entry(said, record.written_at)
