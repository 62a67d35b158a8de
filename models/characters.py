"""The characters that names and ids may hold: those that people's names are written with.

They are letters, marks, numbers, punctuation, symbols, spaces and joiners of Unicode. Other
characters would break logs and spreadsheets, or make one name look like another. Postgres does not
store NUL.
"""

from __future__ import annotations

import unicodedata
from typing import Final

ALLOWED_CHARACTERS: Final = (
    "letters, marks, numbers, punctuation, symbols, spaces and joiners of Unicode, "
    "no controls and no other format characters"
)
"""The allowed characters in words, for descriptions of fields."""
JOINERS: Final = frozenset("\u200b\u200c\u200d\u2060")
"""Format characters that Khmer, Persian and Indic words and emoji are written with."""

# Unicode's general categories; unassigned code points are refused too.
_ALLOWED: Final = ("L", "M", "N", "P", "S", "Zs")
_NAMELESS: Final = {
    "Cc": "a control character",
    "Cs": "half of a surrogate pair",
    "Co": "a private character",
    "Cn": "not a character of Unicode",
}


def allowed(text: str) -> bool:
    """Whether all characters of a name or an id are allowed."""
    # `isprintable` is true for nearly all texts, and saves looking up each character.
    return text.isprintable() or all(map(_allowed, text))


def allowed_to_others(text: str) -> bool:
    """The same, but also allow unassigned code points: a newer Python may have assigned them."""
    return allowed(text) or all(
        _allowed(each) or unicodedata.category(each) == "Cn" for each in text
    )


def legible(text: str) -> str:
    """Escape the characters that a terminal would obey, and line breaks, for messages and logs.

    Bad input is chosen by its sender. Printable characters stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def problem(text: str) -> str | None:
    """Return a sentence on the characters that are not allowed; None if all are.

    It names each of them once, with its first position: from 1, in characters.
    """
    first: dict[str, int] = {}
    for position, character in enumerate(text, 1):
        if not _allowed(character):
            first.setdefault(character, position)
    if not first:
        return None
    return f"must not hold {', '.join(_described(*each) for each in first.items())}"


def _allowed(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character).startswith(_ALLOWED)


def _described(character: str, position: int) -> str:
    code = f"U+{ord(character):04X}"
    if name := unicodedata.name(character, ""):
        return f"{code} {name} (at position {position})"
    return f"{code} ({_NAMELESS[unicodedata.category(character)]}, at position {position})"
