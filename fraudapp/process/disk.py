"""RocksDB databases on disk: what their errors mean, and how one is thrown away."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from models.errors import NeedsOperator, Retryable

_LOCKED: Final = 3
# Asked by a process of its own: closing the file here would let go of the lock that RocksDB has on
# it in this one.
_ASK: Final = f"""
import fcntl, sys
with open(sys.argv[1]) as lock:
    try:
        fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        sys.exit({_LOCKED})
"""


IN_USE: Final = "{} is in use by another worker; give each its own FRAUD_DATA_DIR"
"""The sentence about a folder that is."""


# After these RocksDB goes on by itself; its own word is for a disk that is slower than we are.
_HEALED: Final = (os.strerror(errno.ENOSPC), "Write stall")
# After these, once it could not write, it takes nothing more until it is opened again.
_PASSING: Final = (
    *_HEALED,
    *map(os.strerror, (errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)),
)


class DiskUnusable(NeedsOperator):
    """What is on disk can be neither used nor replaced; the message says what to look at."""


class DiskFull(Retryable):
    """The disk takes nothing now, or the system has no room for what goes with it.

    What is on it is sound, and it can be tried again.
    """

    def __init__(self, path: Path, why: object) -> None:
        self.path = path
        self.heals = any(words in str(why) for words in _HEALED)
        """Whether RocksDB goes on by itself; else the database has to be opened again."""
        super().__init__(f"{path} takes nothing now; is the disk at FRAUD_DATA_DIR full? ({why})")


def is_full(exc: BaseException) -> bool:
    """Whether an error of RocksDB's is about room, or files, that may be there again later.

    RocksDB tells it by the words of the operating system.
    """
    return any(words in str(exc) for words in _PASSING)


def in_use(folder: Path) -> bool:
    """Whether a process has the database in this folder open, as the operating system knows it.

    This very process counts too, so ask only when opening it has failed. Takes some 20 ms. Raises
    `DiskUnusable` if there is no telling.
    """
    lock = folder / "LOCK"
    _let_us_in(folder, lock)
    if not lock.is_file():
        return False
    if not os.access(lock, os.R_OK):
        raise _unusable(lock, "belongs to somebody else, who may have it open")
    asked = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-ISc", _ASK, str(lock)], check=False, capture_output=True, text=True
    )
    if asked.returncode not in (0, _LOCKED):
        raise _unusable(lock, f"does not tell whether it is in use: {asked.stderr.strip()}")
    return asked.returncode == _LOCKED


def discard(path: Path) -> None:
    """Remove what is there, whatever it is; of a folder all that is in it. Raises `DiskUnusable`.

    The folder stays, since it may be a mount point or a link to another disk.
    """
    try:
        if not path.is_dir():
            path.unlink(missing_ok=True)
            return
        _let_us_in(path)
        for each in path.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
    except OSError as exc:
        raise _unusable(path, f"cannot be removed: {exc}") from exc


def _let_us_in(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):
            path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))


def _unusable(path: Path, why: str) -> DiskUnusable:
    return DiskUnusable(f"{path} {why}; look at the disk and the permissions of FRAUD_DATA_DIR")
