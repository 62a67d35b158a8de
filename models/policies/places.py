"""Where the conditions of rules are in a policy file, so that an error names line and column.

Readers of TOML do not tell. A condition is found by its table and its key, if it is on lines of its
own, as people write it; else its error names the rule alone.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final, NamedTuple

_TABLE: Final = re.compile(
    r"^[ \t]*\[\[?[ \t]*([A-Za-z0-9_.\"'-][A-Za-z0-9_.\"' -]*)\]\]?", re.MULTILINE
)
_WHEN: Final = re.compile(r"^[ \t]*when[ \t]*=[ \t]*(\"\"\"\n?|'''\n?|\"|')", re.MULTILINE)
_RULES: Final = "rules"
_MAX_TABLES: Final = 1_000


class Place(NamedTuple):
    """A place in a file, from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


def conditions(text: str) -> list[Place | None]:
    """Return where the condition of each `[[rules]]` begins; None where that is not to be seen.

    Empty for a text with more tables than a policy has.
    """
    tables = [*islice(_TABLE.finditer(text), _MAX_TABLES + 1)]
    if len(tables) > _MAX_TABLES:
        return []
    ends = [*(each.start() for each in tables), len(text)][1:]
    found: list[Place | None] = []
    line, counted = 1, 0
    for table, end in zip(tables, ends, strict=True):
        if table[1].strip() == _RULES and table[0].lstrip().startswith("[["):
            key = _WHEN.search(text, table.end(), end)
            if key:
                line += text.count("\n", counted, key.end())
                counted = key.end()
                column = counted - text.rfind("\n", 0, counted)
            found.append(Place(line, column) if key else None)
    return found


def within(begin: Place, line: int, column: int) -> Place:
    """Return the place that is at a line and column, both from 1, of a condition."""
    if line == 1:
        return Place(begin.line, begin.column + column - 1)
    return Place(begin.line + line - 1, column)
