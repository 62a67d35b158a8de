"""Where labelled transactions come from: a file, several files that make one data set, a frame."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from models.files.lines import STDIN, digest, shown

Source = Path | tuple[Path, ...] | pd.DataFrame
"""Several files are one data set, in whatever order they are given."""


def files(source: Source) -> tuple[Path, ...]:
    """Return the files of a source; none of a frame."""
    if isinstance(source, pd.DataFrame):
        return ()
    return (source,) if isinstance(source, Path) else source


def told(source: Source, frame: str = "the data") -> str:
    """Return a source in words; a frame may have its name in its `attrs`."""
    if isinstance(source, pd.DataFrame):
        return str(source.attrs.get("name", frame))
    first, *others = files(source)
    return f"{shown(first)} and {len(others)} more files" if others else shown(first)


def name(source: Source) -> str:
    """Return the name of a source for a card, without folders."""
    if not (given := files(source)):
        return "a frame"
    if len(given) == 1:
        return given[0].name
    return f"{len(given)} files from {given[0].name} to {given[-1].name}"


def streams(source: Source) -> list[Path]:
    """Return what can be read only once."""
    return [
        path
        for path in files(source)
        if path == STDIN or (path.exists() and not path.is_file() and not path.is_dir())
    ]


def sha256(source: Source) -> str:
    """Return the SHA-256 of a file, of those of several files, or of a frame as CSV.

    That of several files is the same in any order. Raises `OSError`.
    """
    given = files(source)
    if len(given) == 1:
        return digest(given[0])
    content: Any = source
    text = "\n".join(sorted(map(digest, given))) if given else content.to_csv()
    return hashlib.sha256(text.encode()).hexdigest()
