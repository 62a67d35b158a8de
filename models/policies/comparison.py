"""Compares what was decided with what a policy says, and adds that up to a backtest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.policies.backtest import OUTCOMES, Backtest, Counts, Pair, RuleHits
from models.policies.intervals import Quality
from models.policies.overlap import Overlap
from models.policies.ruling import Ruled, Ruling
from models.records import Outcome

MAX_PAIRS: Final = 10
"""Pairs of rules in a backtest, at most: those that hit together most often."""


class Comparison:
    """Adds up a backtest, batch by batch."""

    def __init__(self, after: Ruling) -> None:
        self._after = after
        self._sums = np.zeros((3, len(OUTCOMES), len(OUTCOMES)))  # counts, amounts, frauds
        self._overlap = Overlap(len(after.rules))
        self.found = Backtest(
            rules=[RuleHits(each.id, each.then, each.mode) for each in after.rules]
        )

    def add(
        self,
        before: Sequence[Outcome],
        after: Sequence[Ruled],
        amounts: Sequence[float],
        frauds: Sequence[bool] | None,
    ) -> None:
        """Add transactions: their outcomes, amounts (0 if unknown) and labels, None without any.

        Raises `ValueError` if these are not of the same number of transactions.
        """
        labels = [False] * len(before) if frauds is None else frauds
        if not len(before) == len(after) == len(amounts) == len(labels):
            raise ValueError("outcomes, amounts and labels are of different transactions")
        self.found.rows += len(before)
        places = np.array(_places(before), np.intp) * len(OUTCOMES)
        places += np.array(_places([each.outcome for each in after]), np.intp)
        for at, weights in enumerate((None, amounts, labels)):
            sums = np.bincount(places, weights, self._sums[at].size)
            self._sums[at] += sums.reshape(self._sums[at].shape)
        self._overlap.add([each.hits for each in after], amounts, labels)

    def result(self) -> Backtest:
        """Return what was added up so far."""
        found, (counts, amounts, frauds) = self.found, self._sums
        found.counts, found.amounts = _by_outcome(counts), _by_outcome(amounts)
        found.changed = int(counts.sum() - np.trace(counts))
        found.frauds = int(frauds.sum()) or None
        if found.frauds:
            found.stopped_frauds = {
                when: dict(zip(OUTCOMES, map(int, frauds.sum(axis=axis)), strict=True))
                for when, axis in (("before", 1), ("after", 0))
            }
            found.quality = {
                when: Quality(found.precision(when), found.recall(when))
                for when in found.stopped_frauds
            }
        for at, rule in enumerate(found.rules):
            rule.hits, rule.only, rule.frauds, rule.amount = self._overlap.of(at)
            rule.failures = self._after.failures.get(rule.id, 0)
        found.pairs = [
            Pair((found.rules[one].id, found.rules[other].id), hits)
            for one, other, hits in self._overlap.pairs(MAX_PAIRS)
        ]
        return found


def _places(outcomes: Sequence[Outcome]) -> list[int]:
    """Return the places in `OUTCOMES`; a dict would call Python code to hash each."""
    approve, flag = Outcome.APPROVE, Outcome.FLAG
    return [0 if each is approve else 1 if each is flag else 2 for each in outcomes]


def _by_outcome(sums: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Counts:
    rows = (dict(zip(OUTCOMES, row, strict=True)) for row in sums.tolist())
    return dict(zip(OUTCOMES, rows, strict=True))
