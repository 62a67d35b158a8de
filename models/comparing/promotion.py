"""Whether a model in shadow may take the place of the one that decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from models.comparing.comparison import Compared
from models.comparing.quality import Figure

MIN_ROWS: Final = 10_000
"""At a block share of .1 %, ten blocks: fewer say nothing of it."""
MIN_DAYS: Final = 1.0
"""Traffic repeats itself from day to day more than within one."""
MAX_BLOCK_CHANGE: Final = 0.5
"""Of the block share, relative to that of the model that decides."""
MAX_PSI: Final = 0.25
"""By the usual reading, above it much has changed: see `models.drift`."""
_JUDGED: Final = {
    "average_precision": "average precision",
    "precision_block": "precision at block_at",
    "recall_block": "recall at block_at",
}
"""A worse one of these refuses. Calibration is told only: more fraud than in training moves it."""


class Limits(Struct, frozen=True, kw_only=True):
    """What a model has to show in shadow."""

    min_rows: int = MIN_ROWS
    min_days: float = MIN_DAYS
    """Of hours with rows."""
    max_block_change: float = MAX_BLOCK_CHANGE
    max_psi: float = MAX_PSI
    """Of its scores, against those of its training."""
    min_frauds: int = 0
    """Known ones; without them worse quality cannot be seen."""


def refusals(found: Compared, limits: Limits) -> Iterator[str]:
    """Yield why the other model may not take the place of the one, in sentences."""
    if found.rows < limits.min_rows:
        yield f"it has {found.rows:,} rows in shadow, and needs {limits.min_rows:,}"
    if found.covered_days < limits.min_days:
        yield (
            f"its rows are of {found.hours:,} hours, which are {found.covered_days:.2f} days, and "
            f"it needs {limits.min_days:g}"
        )
    yield from _block_share(found, limits.max_block_change)
    psi = found.other.psi_of_training
    if psi is not None and psi > limits.max_psi:
        yield (
            f"its scores are not those that it had in training: their stability index is {psi:.3f},"
            f" above {limits.max_psi:g}"
        )
    if found.frauds < limits.min_frauds:
        yield f"{found.frauds:,} frauds are known, and it needs {limits.min_frauds:,}"
    for name, said in _JUDGED.items():
        if (figure := found.quality.get(name)) and (why := _worse(figure)):
            yield f"its {said} is worse: {why}"


def _block_share(found: Compared, most: float) -> Iterator[str]:
    before, after = found.one.block_share, found.other.block_share
    # What chance alone explains is no change.
    is_apart = after.low > before.high or after.high < before.low
    if is_apart and abs(after.value - before.value) > most * before.value:
        yield (
            f"it would block {after.value:.4%} instead of {before.value:.4%}, which is a change by "
            f"more than {most:.0%}"
        )


def _worse(figure: Figure) -> str | None:
    """Return in words by how much it is worse beyond chance; None if it is not."""
    one, other, difference = figure.one, figure.other, figure.difference
    if one is None or other is None or difference is None or difference.high >= 0.0:
        return None
    return (
        f"{other.value:.4f} instead of {one.value:.4f}, by {-difference.value:.4f} "
        f"(from {-difference.high:.4f} to {-difference.low:.4f})"
    )
