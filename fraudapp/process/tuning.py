"""What each process of a worker has set up once: event loop, memory, open files, and collector."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Final

from fraudapp.process import malloc, open_files

GC_THRESHOLD: Final = 50_000
"""Objects made since the last look of the garbage collector, after which it looks again."""


def tune() -> None:
    """Take the quicker event loop, and set the limits of memory and open files."""
    if sys.platform != "win32":  # here, since Faust would need `-L uvloop` on every command line
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    malloc.limit_arenas()
    open_files.raise_limit()


def relax_collector() -> None:
    """Let the garbage collector look at new objects only, and seldom.

    All objects made so far stay, and batches are full of objects that refer to no others. It need
    not search them at its default threshold, every seven hundred objects.
    """
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
