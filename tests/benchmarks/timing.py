"""Timing of calls that take microseconds."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from typing import Final

BATCH_ROWS: Final = 500


def microseconds(call: Callable[[], object], number: int) -> float:
    """Time of one call, the best of twenty rounds."""
    return min(timeit.repeat(call, number=number, repeat=20)) / number * 1e6
