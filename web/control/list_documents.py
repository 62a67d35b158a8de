"""The JSON documents of lists; the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from models.control.records import Note
from models.records import MAX_TEXT_CHARACTERS

Value = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


class NewEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry to be added to a list."""

    value: Value
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    """From then on it is not there."""


class ListChange(Struct, frozen=True, forbid_unknown_fields=True):
    """Entries to be added to a list, and removed from it."""

    add: list[NewEntry] = []
    remove: list[Value] = []
    note: Note = ""


class ListChanged(Struct, frozen=True):
    """What was changed in a list."""

    name: str
    added: int
    removed: int
    """How many were named; one that was not there counts, too."""
    size: int


class ListSizes(Struct, frozen=True):
    """Entries by the name of the list; the policy's lists without any are named, too."""

    lists: dict[str, int]


class ListEntries(Struct, frozen=True):
    """The beginning of a list, in the order of the texts."""

    name: str
    size: int
    entries: list[str]
    complete: bool
    """Whether these are all."""


class ListLookup(Struct, frozen=True):
    """Whether a value is in a list at present."""

    name: str
    value: str
    listed: bool
