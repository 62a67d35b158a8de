"""The files that a command is given to train or to judge on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from models.errors import TrainingDataError

_PICKLES: Final = (".pkl", ".pickle", ".joblib")


def together(paths: Sequence[Path]) -> Path | tuple[Path, ...] | None:
    """Return what several paths are together: one file, or one data set; None without any.

    A folder stands for the files in it, in the order of their names. Raises `TrainingDataError`.
    """
    found = tuple(each for path in paths for each in _in(path))
    for each in found:
        if each.suffix.lower() in _PICKLES:
            raise TrainingDataError(
                f"{each} is a pickle, which runs code when it is read: write it as CSV or Parquet "
                "where you trust it (pandas.read_pickle(FILE).to_csv(OTHER, index=False))"
            )
    return found[0] if len(found) == 1 else found or None


def _in(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    files = sorted(each for each in path.iterdir() if each.is_file() and each.name[0] != ".")
    if not files:
        raise TrainingDataError(f"there are no files in the folder {path}")
    yield from files
