"""The cells of a line of CSV, and the separator that a header has."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Final

from models.errors import Rejected
from models.records import FieldError

SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between cells, and its name."""
UNSEPARATED: Final = "the header has no commas, semicolons, tabs or bars between columns"
"""What is said of a header of one cell."""
NOT_UTF8: Final = (
    "is not UTF-8: save the file as UTF-8, or convert it: iconv -f LATIN1 -t UTF-8 FILE"
)


class RefusedRow(Rejected, ValueError):
    """A row cannot be read as a transaction; `errors` has one entry for each error."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(map(str, errors)))


def separated(header: str, fit: Callable[[list[str]], tuple[int, ...]]) -> tuple[str, list[str]]:
    """Return the separator of a header, and its cells: those that `fit` finds the best.

    The first number of a fit is 0 if nothing fits. Raises `RefusedRow`.
    """
    found, refused = {}, None
    for each in SEPARATORS:
        try:
            found[each] = cells(header, each)
        except RefusedRow as exc:
            refused = refused or exc  # of commas
    separator = max(found, key=lambda each: fit(found[each]), default="")
    if refused and not (found and fit(found[separator])[0]):
        raise refused
    return separator, found[separator]


def cells(line: str, separator: str) -> list[str]:
    """Return the cells of a line; raises `RefusedRow`."""
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError as exc:
            raise RefusedRow(FieldError("", NOT_UTF8)) from exc
    if '"' not in line:
        return line.rstrip("\r\n").split(separator)
    try:
        return next(csv.reader([line], strict=True, delimiter=separator))
    except csv.Error as exc:
        unclosed = str(exc) == "unexpected end of data"
        why = "a quote does not end on its line" if unclosed else str(exc)
        raise RefusedRow(FieldError("", f"not valid CSV: {why}")) from exc


def miscounted(line: str, count: int, expected: int) -> RefusedRow:
    """Return the error of a line whose number of cells is not that of the header."""
    cut = "" if is_ended(line) else " (the last line, cut off?)"
    wrong = f"has {count} cells where the header has {expected}{cut}"
    return RefusedRow(FieldError("", wrong))


def is_ended(line: str) -> bool:
    """Whether a line has a line break; the last one may have been cut off without."""
    return line.endswith(("\n", "\r"))
