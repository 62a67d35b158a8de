"""The tokens of an expression; any character that belongs to none is refused.

Names are ASCII, since Python takes a name of other letters for that of the letters they resemble.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from models import characters
from models.rules.errors import RuleError

Kind = Literal["name", "number", "text", "list", "sign", "end"]


class Token(NamedTuple):
    """A piece of the text."""

    kind: Kind
    text: str
    start: int
    """Its place, in characters from 0."""

    @property
    def end(self) -> int:
        """The place after it."""
        return self.start + len(self.text)

    def __str__(self) -> str:
        if self.kind == "end":
            return "the end"
        shown = characters.legible(self.text)
        return f"{shown:.40}" if self.kind == "text" else f"'{shown:.40}'"


_DIGITS: Final = r"\d(?:_?\d)*"
_TOKEN: Final = re.compile(
    rf"""
    (?P<space>[ \t\r\n]+)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<number>(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?)
    |(?P<text>'(?:[^'\\\r\n]|\\['"\\])*'|"(?:[^"\\\r\n]|\\['"\\])*")
    |(?P<list>@[A-Za-z]\w*)
    |(?P<refused>\*\*|//|:=|<>|<<|>>|&&|\|\|)
    |(?P<sign>[<>=!]=|[-+*/%<>(),\[\]])
    """,
    re.ASCII | re.VERBOSE,
)
_INSTEAD: Final[Mapping[str, str]] = {
    "=": "to compare, write ==",
    "<>": "write !=",
    "&": "write and",
    "&&": "write and",
    "|": "write or",
    "||": "write or",
    "!": "write not",
    "//": "to divide, write /",
    "**": "to square x, write x * x",
    "@": "the name of a list follows it at once, such as @mules",
    "#": "a rule has no comments",
    ".": "a field goes by its name alone",
}


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a text, and one at its end; raises `RuleError`."""
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup == "refused":
            raise RuleError(text, place, _refused(match[0] if match else text[place]))
        kind, found = match.lastgroup, match[0]
        place = match.end()
        after = text[place : place + 1] or " "
        if kind == "number" and (after.isalnum() or after in "_."):
            raise RuleError(
                text, match.start(), f"{found:.40}{after} is neither a number nor a name"
            )
        if kind == "name" and after in "'\"":
            raise RuleError(text, match.start(), f"a text has no prefix such as {found:.40}")
        if kind != "space":
            yield Token(kind, found, match.start())  # type: ignore[arg-type]
    yield Token("end", "", len(text))


def _refused(found: str) -> str:
    if found in "'\"":
        return "this text has no end on its line, or a backslash before another than \\, ' and \""
    if not found.isascii():
        return f"{found!a} is a character that only texts may hold, such as 'Zürich'"
    instead = _INSTEAD.get(found)
    return f"{found!r} is not a part of rules" + (f": {instead}" if instead else "")
