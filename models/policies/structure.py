"""Where the tables and keys of a TOML file are, which its readers do not tell.

Only files that are TOML are looked at. Of any other text, or of one with many more keys than a
policy has, some places are missing, and nothing is raised.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

Path = tuple[str | int, ...]
"""Of a value: its keys, and its places in arrays, from 0."""

PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
"""A part of a key, as a pattern."""
_MAX_STEPS: Final = 20_000
"""Keys, values in arrays and ends of these that are looked at; a policy has about 6,000 at most."""
_MAX_DEPTH: Final = 4
"""One more than any path of a policy."""
_KEY: Final = re.compile(PART)
_DOT: Final = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS: Final = re.compile(r"[ \t]*=[ \t]*")
_GAP: Final = re.compile(r"(?:[ \t\r\n,]+|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE: Final = re.compile(r"[^,\]}\n#]+")
_ENDS: Final = {
    '"""': re.compile(r'\\.|("{3,5})', re.DOTALL),
    "'''": re.compile(r"('{3,5})"),
    '"': re.compile(r'\\.|(")', re.DOTALL),
    "'": re.compile(r"(')"),
}


class Key(NamedTuple):
    """Where a key and its value begin, in characters from 0; a table is its own value."""

    at: int
    value: int


class _Open(NamedTuple):
    """An array or table that is written on the line of its key, and has not ended."""

    path: Path | None
    """None if it is deeper than anything of a policy."""
    items: int
    """Values that an array has so far; -1 for a table."""


class Structure:
    """The places of what is in a file whose lines end with LF."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._keys: dict[Path, Key] = {}
        self._last: dict[Path, int] = {}
        """By the path of an array of tables, the place of its last table."""
        self._table: Path | None = ()
        self._open: list[_Open] = []
        at = _skip(_GAP, text, 0)
        for _ in range(_MAX_STEPS):
            if at >= len(text) or (after := self._statement(at)) <= at:
                break
            at = _skip(_GAP, text, after)

    def find(self, path: Path) -> Key:
        """Return where a value is, or else the nearest that it is in; the file is in nothing."""
        for length in range(len(path), 0, -1):
            if key := self._keys.get(path[:length]):
                return key
        return Key(0, 0)

    def _statement(self, at: int) -> int:
        """Take in what begins at a place, and return where it ends; the place itself at a loss."""
        text = self._text
        if not self._open:
            return self._header(at) if text[at] == "[" else self._assignment(at, self._table)
        path, items = self._open[-1]
        if text[at] == ("}" if items < 0 else "]"):
            self._open.pop()
            return at + 1
        if items < 0:
            return self._assignment(at, path)
        self._open[-1] = _Open(path, items + 1)
        item = _below(path, (items,))
        self._keep(item, at, at)
        return self._value(at, item)

    def _header(self, at: int) -> int:
        several = self._text.startswith("[[", at)
        begin = _skip(_SPACE, self._text, at + 1 + several)
        parts, end = self._parts(begin)
        path: Path = ()
        for number, part in enumerate(parts, 1):
            self._keep(path := (*path, part), at, at)
            if several and number == len(parts):
                self._last[path] = self._last.get(path, -1) + 1
            if path in self._last:
                path = (*path, self._last[path])
                self._keep(path, at, at)
        self._table = _below(path, ())
        closing = self._text.find("]", end)
        return at if closing < 0 else closing + 1 + several

    def _assignment(self, at: int, table: Path | None) -> int:
        parts, end = self._parts(at)
        equals = _EQUALS.match(self._text, end)
        if not parts or equals is None:
            return at
        for number in range(1, len(parts) + 1):
            self._keep(_below(table, parts[:number]), at, equals.end())
        return self._value(equals.end(), _below(table, parts))

    def _value(self, at: int, path: Path | None) -> int:
        first = self._text[at : at + 1]
        if first in ("[", "{"):
            self._open.append(_Open(path, 0 if first == "[" else -1))
            return at + 1
        for quote, ends in _ENDS.items():
            if self._text.startswith(quote, at):
                found = (
                    each.end() for each in ends.finditer(self._text, at + len(quote)) if each[1]
                )
                return next(found, at)
        bare = _BARE.match(self._text, at)
        return bare.end() if bare else at

    def _parts(self, at: int) -> tuple[tuple[str, ...], int]:
        parts = []
        while part := _KEY.match(self._text, at):
            parts.append(_plain(part[0]))
            at = part.end()
            if (dot := _DOT.match(self._text, at)) is None:
                break
            at = dot.end()
        return tuple(parts), at

    def _keep(self, path: Path | None, at: int, value: int) -> None:
        if path is not None and len(path) <= _MAX_DEPTH:
            self._keys.setdefault(path, Key(at, value))


def _below(path: Path | None, parts: Path) -> Path | None:
    return None if path is None or len(path) + len(parts) > _MAX_DEPTH else path + parts


def _skip(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _plain(part: str) -> str:
    if part[0] not in "\"'":
        return part
    if "\\" not in part or part[0] == "'":
        return part[1:-1]
    try:
        return str(msgspec.toml.decode(f"key = {part}")["key"])
    except (msgspec.DecodeError, ValueError):
        return part[1:-1]
