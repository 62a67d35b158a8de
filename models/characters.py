"""Which characters names and ids may hold: those that people's names are written with.

Letters, marks, numbers, punctuation, symbols, spaces and joiners of Unicode. Others would break
logs and spreadsheets, make one name look like another, or (NUL) not go into Postgres.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MEANT: Final = (
    "letters, marks, numbers, punctuation, symbols, spaces and joiners of Unicode, "
    "no controls and no other format characters"
)
"""The same for people who read a description of a field."""
JOINERS: Final = frozenset("\u200b\u200c\u200d\u2060")
"""The format characters that words are written with: Khmer, Persian and Indic scripts, emoji."""

# By Unicode's general category; what it has no character for yet is refused with the rest.
_ALLOWED: Final = ("L", "M", "N", "P", "S", "Zs")
_NAMELESS: Final = {
    "Cc": "a control character",
    "Cs": "half of a surrogate pair",
    "Co": "a private character",
    "Cn": "not a character of Unicode",
}


def allowed(text: str) -> bool:
    """Whether a name or an id may hold all of these characters."""
    # True for nearly all texts, and then nothing need be looked up.
    return text.isprintable() or all(map(_allowed, text))


def allowed_to_others(text: str) -> bool:
    """The same for another Python, whose Unicode may have characters which this one has not yet."""
    return allowed(text) or all(
        _allowed(each) or unicodedata.category(each) == "Cn" for each in text
    )


def legible(text: str) -> str:
    """The same on one line, without what a terminal would obey: that is written as an escape.

    Whoever sends bad input decides what it is; what is printable stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def problem(text: str) -> str | None:
    """Tell each character that may not be there, once, with its first position; None if all may.

    Positions count from 1, in characters.
    """
    first: dict[str, int] = {}
    for position, character in enumerate(text, 1):
        if not _allowed(character):
            first.setdefault(character, position)
    if not first:
        return None
    return f"must not hold {', '.join(_told(*each) for each in first.items())}"


def _allowed(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character).startswith(_ALLOWED)


def _told(character: str, position: int) -> str:
    code = f"U+{ord(character):04X}"
    if name := unicodedata.name(character, ""):
        return f"{code} {name} (at position {position})"
    return f"{code} ({_NAMELESS[unicodedata.category(character)]}, at position {position})"
