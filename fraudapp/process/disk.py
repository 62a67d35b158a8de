"""RocksDB databases on disk: what their errors mean, who uses one, and how one is discarded."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from rocksdict import Rdict

from models.errors import NeedsOperator, Retryable

_LOCKED: Final = 3
# Run in a process of its own: closing the lock file in this process would release the lock that
# RocksDB holds on it here.
_LOCK_PROBE: Final = f"""
import fcntl, sys
with open(sys.argv[1]) as lock:
    try:
        fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        sys.exit({_LOCKED})
"""

DISK_TIMEOUT: Final = 3.0
"""Seconds that a disk may take no write before it counts as full."""
DISK_RETRY: Final = 0.02
"""Seconds until a write that the disk did not take is tried again."""
IN_USE: Final = "{} is in use by another worker; give each its own FRAUD_DATA_DIR"
"""Error message, to be filled with the folder that another worker uses."""

# RocksDB recovers from these by itself. "Write stall" is its own message, for writes that come
# faster than the disk takes them.
_RECOVERING: Final = (os.strerror(errno.ENOSPC), "Write stall")
# These pass as well. After a failed write with one of the others, RocksDB refuses all writes until
# the database is opened again.
_PASSING: Final = (
    *_RECOVERING,
    *map(os.strerror, (errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)),
)


# Files of level 0 below which `can_flush` allows a flush: at twenty, RocksDB makes it wait.
_MAX_UNMERGED: Final = 16


class DiskUnusable(NeedsOperator):
    """Files on disk can be neither used nor replaced; the message says where to look."""


class DiskFull(Retryable):
    """The disk is full for now, or the system lacks the files or the memory to write to it.

    The data on disk is sound, and the write can be tried again.
    """

    def __init__(self, path: Path, why: object) -> None:
        self.path = path
        self.heals = any(words in str(why) for words in _RECOVERING)
        """Whether RocksDB recovers by itself; otherwise the database has to be opened again."""
        super().__init__(
            f"{path} cannot be written to now; is the disk at FRAUD_DATA_DIR full? ({why})"
        )


def can_flush(database: Rdict) -> bool:
    """Return whether a RocksDB database has something to flush, and would begin at once.

    It would wait for an older write buffer to be on disk, or for many files to be merged.
    """
    unflushed = database.property_int_value("rocksdb.num-entries-active-mem-table")
    flushing = database.property_int_value("rocksdb.num-immutable-mem-table")
    files = int(database.property_value("rocksdb.num-files-at-level0") or 0)
    return bool(unflushed) and not flushing and files < _MAX_UNMERGED


def is_full(exc: BaseException) -> bool:
    """Return whether a RocksDB error is about a lack of space, files or memory, which may pass.

    RocksDB reports it in the words of the operating system.
    """
    return any(words in str(exc) for words in _PASSING)


def in_use(folder: Path) -> bool:
    """Return whether a process has the database in this folder open, by its lock on a file.

    This process counts too, so ask only after opening the database has failed. Blocks while it
    starts another process, which asks. Raises `DiskUnusable` if the lock cannot be examined.
    """
    lock = folder / "LOCK"
    _make_accessible(folder, lock)
    if not lock.is_file():
        return False
    if not os.access(lock, os.R_OK):
        raise _unusable(lock, "belongs to somebody else, who may have it open")
    probe = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-ISc", _LOCK_PROBE, str(lock)],
        check=False,
        capture_output=True,
        text=True,
    )
    if probe.returncode not in (0, _LOCKED):
        raise _unusable(lock, f"does not tell whether it is in use: {probe.stderr.strip()}")
    return probe.returncode == _LOCKED


def discard(path: Path) -> None:
    """Remove a file, or all that a folder holds. Raises `DiskUnusable` if that is impossible.

    The folder itself stays, since it may be a mount point or a link to another disk.
    """
    try:
        if not path.is_dir():
            path.unlink(missing_ok=True)
            return
        _make_accessible(path)
        for each in path.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
    except OSError as exc:
        raise _unusable(path, f"cannot be removed: {exc}") from exc


def _make_accessible(*paths: Path) -> None:
    """Give the owner access to these paths, as far as that is possible."""
    for path in paths:
        with suppress(OSError):
            path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))


def _unusable(path: Path, why: str) -> DiskUnusable:
    return DiskUnusable(f"{path} {why}; look at the disk and the permissions of FRAUD_DATA_DIR")
