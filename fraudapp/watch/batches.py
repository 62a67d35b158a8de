"""Counts the batches that are decided, many rows at a time, since a call costs as much as rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from models.records import Decision, Outcome
from models.schema.features import Matrix
from models.scorer import Floats
from models.watch.cells import Cell, day_of
from models.watch.counting import Counter
from models.watch.expected import Expected

log = logging.getLogger(__name__)

ROWS: Final = 4_096
"""Rows of one model and day that are counted together."""
_APPROVE: Final = Outcome.APPROVE


class _Waiting:
    """Batches that are not counted yet."""

    def __init__(self) -> None:
        self.matrices: list[Matrix] = []
        self.scores: list[Floats] = []
        self.rows = self.flags = self.blocks = 0

    def add(self, matrix: Matrix, scores: Floats, decisions: Sequence[Decision]) -> None:
        self.matrices.append(matrix)
        self.scores.append(scores)
        self.rows += len(decisions)
        stopped = [each.decision for each in decisions if each.decision is not _APPROVE]
        blocks = stopped.count(Outcome.BLOCK)
        self.blocks += blocks
        self.flags += len(stopped) - blocks


class WatchedBatches:
    """What this worker has decided since it was taken last; only the event loop uses it.

    What is decided counts, whether it comes into the log or not: after a crash, a rebalance, or an
    append that another worker has disturbed, it is decided again, and counts twice.
    """

    def __init__(self, expected: Callable[[str], Expected | None]) -> None:
        """`expected` returns what is expected of the rows of a model, by its version."""
        self.expected: Final = expected
        self._counters: dict[str, Counter] = {}
        self._waiting: dict[tuple[int, str], _Waiting] = {}
        self._counted: dict[tuple[int, str], Cell] = {}
        self._uncounted = set[str]()

    def add(self, matrix: Matrix, scores: Floats, decisions: Sequence[Decision]) -> None:
        """Take the decisions of one call of `models.deciding.decide`, one at least."""
        key = day_of(decisions[0].decided_at), decisions[0].model_version
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting()
        waiting.add(matrix, scores, decisions)
        if waiting.rows >= ROWS:
            self._count(key)

    def take(self) -> dict[tuple[int, str], Cell]:
        """Return what was counted, by day and model version, and begin anew."""
        for key in [*self._waiting]:
            self._count(key)
        counted, self._counted = self._counted, {}
        return counted

    def _count(self, key: tuple[int, str]) -> None:
        waiting = self._waiting.pop(key)
        try:
            cell = self._cell(key[1], waiting)
        except Exception:  # no statistics are worth a decision
            if key[1] not in self._uncounted:
                self._uncounted.add(key[1])
                log.exception("rows of model %s are not watched", key[1])
            return
        if key in self._counted:
            self._counted[key].add(cell)
        else:
            self._counted[key] = cell

    def _cell(self, version: str, waiting: _Waiting) -> Cell:
        matrix, scores = np.concatenate(waiting.matrices), np.concatenate(waiting.scores)
        counter = self._counter(version)
        return counter.count(matrix, scores, flags=waiting.flags, blocks=waiting.blocks)

    def _counter(self, version: str) -> Counter:
        """Return what counts by the bins of a model; its card is read once."""
        if version not in self._counters:
            self._counters[version] = Counter(self.expected(version))
        return self._counters[version]
