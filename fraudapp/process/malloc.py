"""Tuning of glibc's allocator, so that the memory of a worker does not grow for ever.

It is done in code: who starts a worker would not know the variables that glibc reads.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
MAX_ARENAS: Final = 2
"""Arenas of one process, at most."""
MMAP_THRESHOLD_BYTES: Final = 1 << 20
"""Bytes from which a block returns to the system as soon as it is freed."""

TRIM_INTERVAL: Final = 10.0
"""Seconds from one call of `trim` to the next."""


def limit_arenas() -> None:
    """Limit the memory that freed blocks keep; does nothing without glibc.

    By default each thread gets an arena of its own. Once a block of up to 32 MB was freed, blocks
    of its size stay with the process. Both let a worker grow with the transactions it has decided.
    """
    if mallopt := _of_glibc("mallopt"):
        mallopt(_M_ARENA_MAX, MAX_ARENAS)
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def trim() -> None:
    """Return unused pages to the system; does nothing without glibc.

    Blocks for some milliseconds, without the interpreter's lock: call it in a thread. Freed
    decisions are small and leave holes between objects that live longer. Without this call the
    holes keep their pages, and the memory of a worker creeps up.
    """
    if malloc_trim := _of_glibc("malloc_trim"):
        malloc_trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), name, None)  # musl has neither function
