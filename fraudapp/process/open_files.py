"""The limit of open files, sockets included, and how HTTP, indexes and the rest share it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

MAX_FILES: Final = 65_536
"""Files; a higher limit is not asked for, since no worker needs one."""
_ATTEMPTS: Final = (MAX_FILES, 10_240)  # macOS allows the second at most, whatever limit it reports
_SHARES: Final = 4
"""HTTP has one of so many equal shares, and the indexes have one.

The rest is for tables, Kafka and the sinks, and for connections accepted but not yet counted.
"""
_MAX_INDEX_FILES: Final = 1_000
"""Files; no index has as many."""
MIN_DATABASE_FILES: Final = 20
"""Open files that RocksDB needs for one database, at least."""


def raise_limit() -> None:
    """Raise the soft limit as far as allowed; shells and systemd begin with 1,024 files."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _unlimited(soft):
        return
    for wanted in _ATTEMPTS:
        files = wanted if _unlimited(hard) else min(wanted, hard)
        with suppress(OSError, ValueError):
            if files > soft:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
            return


def limit() -> int:
    """Return how many files this process may open, `MAX_FILES` at most."""
    if resource is None:
        return MAX_FILES
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_FILES if _unlimited(soft) else min(soft, MAX_FILES)


def connections(wanted: int) -> int:
    """Return how many of the wanted HTTP connections may be open at a time."""
    return max(1, min(wanted, limit() // _SHARES))


def of_index(partitions: int) -> int:
    """Return how many files each of so many indexes may keep open; -1 for no limit."""
    files = limit() // _SHARES // partitions
    # A limit makes RocksDB count at each look-up; one that no index reaches is left out.
    return max(MIN_DATABASE_FILES, files) if files < _MAX_INDEX_FILES else -1


def too_few(partitions: int) -> str | None:
    """Return a warning if so many partitions need more files than the limit; else None."""
    needed = MIN_DATABASE_FILES * partitions * _SHARES
    if limit() >= needed:
        return None
    return (
        f"this process may open {limit():,} files; {partitions:,} partitions need {needed:,}: "
        "raise the hard limit (`ulimit -Hn`, LimitNOFILE of systemd, --ulimit nofile of Docker)"
    )


def _unlimited(files: int) -> bool:
    return files in (resource.RLIM_INFINITY, -1)
