"""What a request changes in a list, and all that is wrong with it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from models.control.records import InvalidRecord, Listed, Note, Removed, check_entry
from web.control import requests
from web.control.list_documents import NewEntry, Value

MAX_CHANGES: Final = 10_000
"""Entries of one request."""


class ListBody(Struct, forbid_unknown_fields=True):
    """A `ListChange` whose entries are not decoded yet, so that each error can be told."""

    add: list[Raw] = []
    remove: list[Raw] = []
    note: Note = ""


class Changes:
    """What a body asks for, and all that is wrong with it."""

    def __init__(self, name: str, body: ListBody) -> None:
        """`name` is that of the list."""
        self.errors: list[dict[str, str]] = []
        self.added: dict[str, datetime | None] = {}
        """Entries by value, with the time at which each expires."""
        self.removed: list[str] = []
        self._seen: set[str] = set()
        self._name, self._note = name, body.note
        if 1 <= (asked := len(body.add) + len(body.remove)) <= MAX_CHANGES:
            self._read(body)
        else:
            self._fail("", f"1 to {MAX_CHANGES:,} entries can be changed at once, not {asked:,}")

    def records(self, author: str) -> dict[str, Listed | Removed]:
        """Return what is to be written of each entry; equal ones are one object."""
        note = self._note
        listed = {
            time: Listed(author=author, note=note, expires_at=time)
            for time in {*self.added.values()}
        }
        removed = dict.fromkeys(self.removed, Removed(author=author, note=note))
        return {**removed, **{value: listed[time] for value, time in self.added.items()}}

    def _read(self, body: ListBody) -> None:
        now = datetime.now(timezone.utc)
        for at, raw in enumerate(body.add):
            if entry := self._decoded(f"add[{at}]", raw, NewEntry):
                if entry.expires_at and entry.expires_at <= now:
                    self._fail(f"add[{at}].expires_at", f"is over: {entry.expires_at.isoformat()}")
                if self._is_new(f"add[{at}].value", entry.value):
                    self.added[entry.value] = entry.expires_at
        for at, raw in enumerate(body.remove):
            value = self._decoded(f"remove[{at}]", raw, Value)
            if value is not None and self._is_new(f"remove[{at}]", value):
                self.removed.append(value)

    def _is_new(self, field: str, value: str) -> bool:
        try:
            check_entry(self._name, value)
        except InvalidRecord as exc:
            return self._fail(field, str(exc))
        if value in self._seen:
            return self._fail(field, f"{value!r:.80} is there twice")
        self._seen.add(value)
        return True

    def _decoded(self, field: str, raw: Raw, kind: Any) -> Any:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError as exc:
            below, problem = requests.field_and_problem(exc)
            self._fail(f"{field}.{below}" if below else field, problem)
            return None

    def _fail(self, field: str, problem: str) -> bool:
        self.errors.append({"field": field, "problem": problem})
        return False
