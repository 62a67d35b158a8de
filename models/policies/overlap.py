"""How often rules hit, alone and with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np


class Overlap:
    """Counts hits of rules, and of pairs of them; rules go by their places.

    Its memory depends on the number of rules alone.
    """

    def __init__(self, rules: int) -> None:
        self._together = np.zeros((rules, rules))
        self._only = np.zeros(rules)
        self._frauds = np.zeros(rules)
        self._amounts = np.zeros(rules)

    def add(
        self,
        hits: Sequence[tuple[int, ...]],
        amounts: Sequence[float],
        frauds: Sequence[bool],
    ) -> None:
        """Add transactions: which rules hit each, its amount, and whether it is a fraud."""
        tally: dict[tuple[int, ...], list[float]] = {}
        for row, each in enumerate(hits):
            if each:
                sums = tally.get(each)
                if sums is None:
                    sums = tally[each] = [0.0, 0.0, 0.0]
                sums[0] += 1
                sums[1] += amounts[row]
                sums[2] += frauds[row]
        if not tally:
            return
        lengths = np.fromiter(map(len, tally), np.intp, len(tally))
        is_hit = np.zeros((len(tally), len(self._only)))
        is_hit[np.repeat(np.arange(len(tally)), lengths), [*chain.from_iterable(tally)]] = 1.0
        counts, amounts_of, frauds_of = np.array([*tally.values()]).T
        self._together += (is_hit.T * counts) @ is_hit
        self._only += np.where(lengths == 1, counts, 0.0) @ is_hit
        self._amounts += amounts_of @ is_hit
        self._frauds += frauds_of @ is_hit

    def of(self, rule: int) -> tuple[int, int, int, float]:
        """Return hits of a rule, those of no other rule, those that are frauds, and the amount."""
        hits, amount = int(self._together[rule, rule]), float(self._amounts[rule])
        return hits, int(self._only[rule]), int(self._frauds[rule]), amount

    def pairs(self, most: int) -> Iterator[tuple[int, int, int]]:
        """Yield pairs of rules and how often both hit, the most frequent first, `most` at most."""
        firsts, seconds = np.triu_indices(len(self._only), 1)
        hits = self._together[firsts, seconds]
        for at in np.argsort(-hits, kind="stable")[:most]:
            if hits[at]:
                yield int(firsts[at]), int(seconds[at]), int(hits[at])
