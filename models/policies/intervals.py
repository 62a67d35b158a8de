"""Shares with their intervals, for precision and recall."""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

_Z: Final = 1.959963984540054
"""Of a normal distribution: 95 % lie within so many standard deviations."""


class Share(Struct, frozen=True):
    """A share with its interval of 95 % (Wilson, 1927), which holds for few rows, too."""

    value: float
    low: float
    high: float


class Quality(Struct, frozen=True):
    """How much of what is blocked is fraud, and how much fraud is blocked; None if unknown."""

    precision: Share | None
    recall: Share | None


def wilson(part: int, whole: int) -> Share:
    """Return the share of `part` in `whole`, which is above 0, with its interval."""
    share = part / whole
    middle = share + _Z**2 / (2 * whole)
    away = _Z * math.sqrt(share * (1 - share) / whole + _Z**2 / (4 * whole**2))
    scale = 1 + _Z**2 / whole
    return Share(share, max(0.0, (middle - away) / scale), min(1.0, (middle + away) / scale))
