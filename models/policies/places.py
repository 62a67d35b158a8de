"""Places in a policy file: lines and columns, also of what is inside a text."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final, NamedTuple

_QUOTE: Final = re.compile(r"\"\"\"\n?|'''\n?|\"|'")
_ESCAPE: Final = re.compile(r"\\(?:u.{4}|U.{8}|([ \t]*\n[ \t\n]*)|.)")


class Place(NamedTuple):
    """A place in a file, from 1; columns are in characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class Lines:
    """The lines of a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(each.end() for each in re.finditer("\n", text))]

    def place(self, at: int) -> Place:
        """Return the place of a character, which is counted from 0."""
        line = bisect_right(self._starts, at)
        return Place(line, at - self._starts[line - 1] + 1)


def inside(text: str, begin: int, value: str, line: int, column: int) -> int:
    """Return where a line and column, both from 1, of a text that is written in TOML are.

    The text is `value`, and its quotes begin at `begin`. Without quotes there, that is returned.
    """
    quote = _QUOTE.match(text, begin)
    if quote is None:
        return begin
    start = 0
    for _ in range(line - 1):
        start = value.find("\n", start) + 1
    count = start + column - 1
    if quote[0].startswith("'"):
        return quote.end() + count
    return _unescaped(text, quote.end(), count)


def _unescaped(text: str, at: int, count: int) -> int:
    """Return what is `count` characters after `at`, if an escape counts as what it stands for."""
    for escape in _ESCAPE.finditer(text, at):
        plain = escape.start() - at
        if count < plain:
            break
        stands_for = 0 if escape[1] else 1
        if count < plain + stands_for:
            return escape.start()
        count -= plain + stands_for
        at = escape.end()
    return at + count
