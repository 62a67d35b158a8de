"""How many files this process may open, sockets included, and who may have how many of them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

ENOUGH: Final = 65_536
"""Files; more are asked of no system."""
_TRIED: Final = (ENOUGH, 10_240)  # macOS allows no more than the second, whatever it says
_SHARE: Final = 4
"""Of what there is, HTTP has a quarter and indexes have one.

The rest is for tables, Kafka, the sinks, and for what has been accepted and not yet been counted.
"""
_MANY: Final = 1_000
LEAST: Final = 20
"""Files of a database with which RocksDB can work."""


def raise_limit() -> None:
    """Let this process open as many files as it may: shells and systemd give 1,024 at first."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _unlimited(soft):
        return
    for wanted in _TRIED:
        most = wanted if _unlimited(hard) else min(wanted, hard)
        with suppress(OSError, ValueError):
            if most > soft:
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            return


def limit() -> int:
    """Files that this process may open."""
    if resource is None:
        return ENOUGH
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if _unlimited(soft) else min(soft, ENOUGH)


def connections(wanted: int) -> int:
    """HTTP connections that there may be, of those wanted."""
    return max(1, min(wanted, limit() // _SHARE))


def of_index(partitions: int) -> int:
    """Files that each index may keep open where there are so many of them; -1 for all it has."""
    share = limit() // _SHARE // partitions
    # To count them takes time at each look, and no index has as many.
    return max(LEAST, share) if share < _MANY else -1


def too_few(partitions: int) -> str | None:
    """A sentence if so many partitions need more files than there may be."""
    needed = LEAST * partitions * _SHARE
    if limit() >= needed:
        return None
    return (
        f"this process may open {limit():,} files; {partitions:,} partitions need {needed:,}: "
        "raise the hard limit (`ulimit -Hn`, LimitNOFILE of systemd, --ulimit nofile of Docker)"
    )


def _unlimited(files: int) -> bool:
    return files in (resource.RLIM_INFINITY, -1)
