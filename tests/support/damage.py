"""Ways in which files are damaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

Damage = Callable[[Path], object]


def _cut(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _garbled(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def _scratched(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = random.Random(2).randbytes(len(content[middle : middle + 64]))
    path.write_bytes(content)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        where = random.Random(len(content)).randrange(len(content))
        content[where] ^= 1 << where % 8
    path.write_bytes(content)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _became_a_folder(path: Path) -> None:
    path.unlink()
    (path / "inner").mkdir(parents=True)


WAYS: Final[dict[str, Damage]] = {
    "cut": _cut,
    "flipped": _flipped,
    "garbled": _garbled,
    "scratched": _scratched,
    "emptied": _emptied,
    "removed": Path.unlink,
    "a folder": _became_a_folder,
}

FILES: Final = (
    "*.sst",
    "*.log",
    "MANIFEST-*",
    "CURRENT",
    "OPTIONS-*",
    "IDENTITY",
    "LOCK",
    "LOG",
    "rocksdict-config.json",
)
"""The kinds there are in the folder of a RocksDB database."""


def damage(folder: Path, pattern: str, way: str) -> None:
    """Damage every file of a kind; there has to be one."""
    done = 0
    for path in folder.glob(pattern):
        with suppress(FileNotFoundError):  # it was merged into another one meanwhile
            WAYS[way](path)
            done += 1
    assert done, f"no {pattern} in {folder}"
