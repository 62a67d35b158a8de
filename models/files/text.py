"""Text files that are open, and whether they hold JSON lines or CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from models.files.lines import Line, UnreadableFile, lines, shown

_JSON: Final = (".json", ".jsonl", ".ndjson")
_PACKED: Final = (".gz", ".bz2", ".xz", ".zst", ".zip")


class Text:
    """A file whose lines are read once, as they are asked for."""

    def __init__(self, path: Path) -> None:
        """Raises `UnreadableFile`."""
        self.path = path
        self.lines: Iterator[Line] = (line for line in lines(path) if not line.text.isspace())
        """Those that are not blank, behind the first."""
        self.first = next(self.lines, None)
        """The header of CSV, or a message; None if there is no line."""
        self.is_json = self.first is not None and is_json(path, self.first)


def stem(path: Path) -> str:
    """Return a file's name without its suffixes, including that of a compressed file."""
    return _unpacked(path).stem


def is_json(path: Path, first: Line) -> bool:
    """Whether a file holds JSON lines, by its name or else its first line.

    Raises `UnreadableFile` if it is a JSON array.
    """
    begins = first.text.lstrip()[:1]
    suffix = _unpacked(path).suffix.lower()
    found = suffix in _JSON or (suffix != ".csv" and begins in "{[")
    if found and begins == "[":
        raise UnreadableFile(
            f"{shown(path)} is one JSON array; write an object on each line: jq -c '.[]' FILE"
        )
    return found


def _unpacked(path: Path) -> Path:
    return Path(path.stem) if path.suffix.lower() in _PACKED else path
