"""The labelled sample of each preset: PaySim's is packaged, the others are made when needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final


def sample_path() -> Path:
    """Return the path of the packaged `transactions.csv`; see `PROVENANCE.md` beside it."""
    return Path(__file__).with_name("transactions.csv")


def sample(schema: str, folder: Path) -> Path | None:
    """Return the labelled sample for the preset of this name; None if there is none.

    One that has to be generated is kept in `folder`, whole or not at all, and readable by its owner
    only; that takes a second or two. It is always the same. Raises `OSError` if it cannot be kept.
    """
    if schema == "paysim":
        return sample_path()
    if (write := _WRITERS.get(schema)) is None:
        return None
    target = folder / f"{schema}.jsonl"
    if not target.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(write, target)
    return target


# Imported in the functions: a worker that has a model does without the generators.


def _write_cards(path: Path) -> int:
    from data.cards.generator import write_json_lines
    from data.cards.plan import Plan

    return write_json_lines(Plan.for_rows(60_000), path)


def _write_pacs008(path: Path) -> int:
    from data.pacs008.generator import write_json_lines
    from data.pacs008.plan import Plan

    return write_json_lines(Plan(), path)


_WRITERS: Final[dict[str, Callable[[Path], int]]] = {
    "cards": _write_cards,
    "pacs008": _write_pacs008,
}


def _write(write: Callable[[Path], int], target: Path) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)  # mode 600
    draft = Path(name)
    try:
        with os.fdopen(descriptor) as file:
            write(draft)
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
