"""What numbers and texts in rules stand for; both are a part of what Python allows."""

from __future__ import annotations

import math
from typing import Final

from models import characters

MAX_WHOLE: Final = 2**53
"""Up to here floating point has all whole numbers."""
_MAX_DIGITS: Final = 24


def number(written: str) -> int | float:
    """Return a number; raises `ValueError` for one that cannot be had exactly, or at all."""
    if not written.replace("_", "").isdigit():
        if math.isinf(found := float(written)):
            raise ValueError(f"{written:.40} is too large for a number")
        return found
    if written[0] == "0" and len(written) > 1:
        raise ValueError(f"{written:.40} begins with 0: leave that out")
    if len(written) > _MAX_DIGITS or int(written) > MAX_WHOLE:
        raise ValueError(
            f"{written:.40} is too large to be exact: whole numbers go up to {MAX_WHOLE:,}, "
            "larger ones are written such as 1e20"
        )
    return int(written)


def text(written: str) -> str:
    r"""Return a text without its quotes; of backslashes there are \\, \' and \".

    Raises `ValueError` for characters that no field may hold.
    """
    found = "\\".join(each.replace("\\", "") for each in written[1:-1].split("\\\\"))
    if not characters.allowed_to_others(found):
        raise ValueError(f"a text {characters.problem(found)}; no field holds such")
    return found
