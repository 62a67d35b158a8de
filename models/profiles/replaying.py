"""Values of profiles for transactions that nobody has decided: a file's, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.profiles.events import Events
from models.profiles.groups import Integers
from models.profiles.memory import ProfileMemory
from models.profiles.reading import Floats
from models.profiles.remembering import Remembering
from models.profiles.windows import DAY, MINUTES

LABEL_DELAY: Final = 7 * DAY
"""Seconds until it is known that a transaction was fraud, unless something else is said."""
LAST: Final = 2**32 - 1 - DAY
"""The last second since 1970 that profiles can have; the first one is 1."""
_UNBOUNDED: Final = 1 << 62


def replayed(
    remembering: Remembering,
    events: Events,
    fraud: NDArray[np.bool_],
    label_delay: int = LABEL_DELAY,
    moments: Floats | None = None,
) -> Floats:
    """Return values of transactions, (transactions, values), as they would have been decided on.

    Each one comes after those of earlier moments, and after those of the same moment that are
    before it in `events`; `moments` are the seconds, if nothing finer is given. That one is `fraud`
    is known from the first full five minutes on that are `label_delay` seconds, 1 at least, after
    it. The rows are those of `events`, unknown values NaN.
    Raises `ValueError` for seconds out of 1 to `LAST`.
    """
    if label_delay < 1:
        raise ValueError(f"a label is known after its transaction, not {label_delay} s after it")
    found = np.empty((len(events), len(remembering.names)))
    if not len(events):
        return found
    if not 1 <= int(events.seconds.min()) <= int(events.seconds.max()) <= LAST:
        raise ValueError("profiles are of times from 1970 to 2106")
    order = np.argsort(events.seconds if moments is None else moments, kind="stable")
    ordered, marked = events.chosen(order.tolist()), np.flatnonzero(fraud[order])
    memory = ProfileMemory(remembering, lambda keys: [None] * len(keys), _UNBOUNDED)
    told = _told(ordered.seconds, marked, label_delay) if remembering.uses_labels else None
    known = 0
    for begin, end in pairwise(_edges(remembering, ordered.seconds, told)):
        if told is not None and told[begin] > known:
            labels = ordered.chosen(marked[known : told[begin]].tolist())
            memory.add_frauds(labels, [1] * len(labels))
            known = int(told[begin])
        batch = ordered.at(slice(begin, end))
        found[order[begin:end]] = memory.read(batch)
        memory.settle(batch)
    return found


def _told(seconds: Integers, marked: Integers, label_delay: int) -> Integers:
    """Return how many of the marked transactions are known to be fraud at each one."""
    due = seconds[marked] + label_delay
    found: Integers = np.searchsorted(due, seconds - seconds % MINUTES, side="right")
    return found


def _edges(remembering: Remembering, seconds: Integers, told: Integers | None) -> Iterator[int]:
    """Yield where each batch begins, and the end: within one, no window moves and no label comes.

    A batch is as long as the narrowest buckets, so that without windows of an hour it may be
    longer than the five minutes of a worker's: the values are the same.
    """
    width = min(side.layout.levels.finest for side in remembering.sides)
    moves = np.diff(seconds // width) != 0
    if told is not None:
        moves |= np.diff(told) != 0
    yield 0
    yield from (np.flatnonzero(moves) + 1).tolist()
    yield len(seconds)
