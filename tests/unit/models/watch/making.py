"""Cells and what is expected of them, as tests need them."""

from __future__ import annotations

from models.drift import EDGES
from models.watch.cells import MILLION, Cell
from models.watch.expected import Bins, Expected

USUAL = Expected(
    rows=200_000.0,
    scores=[0.3, 0.3, 0.2, 0.1, 0.0985, 0.0003, 0.0002, 0.0002, 0.0008],
    score=0.0012,
    features={
        "size": Bins([1.0, 2.0, 3.0], [0.0, 0.25, 0.25, 0.25, 0.25]),
        "is_new": Bins([0.5], [0.0, 0.9, 0.1]),
    },
)


def cell(
    rows: int = 100_000, *, blocks: int = 80, high: int | None = None, **given: object
) -> Cell:
    """A cell as it is to be expected, but for what is given; `high` are its scores from 0.8 on."""
    scores = [round(share * rows) for share in USUAL.scores]
    if high is not None:
        scores[-1] = high
        scores[-2] = min(scores[-2], high)
    scores[0] += rows - sum(scores)
    made = {
        "rows": rows,
        "score": round(rows * 0.0012 * MILLION),
        "blocks": blocks,
        "scores": scores,
        "bins": USUAL.bins,
        "features": [
            [round(share * rows) for share in bins.shares] for bins in USUAL.features.values()
        ],
    }
    return Cell(**(made | given))  # type: ignore[arg-type]


assert len(USUAL.scores) == len(EDGES) + 1
