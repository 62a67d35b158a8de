"""Computes the profiles of decisions again, and compares them with what the decisions say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from models.profiles.differences import Difference, OfValue, Pair, Verified
from models.profiles.events import Events
from models.profiles.memory import ProfileMemory, five_minutes
from models.profiles.neighbours import Logged, Neighbours
from models.profiles.remembering import Remembering
from models.records import Decision

SHOWN: Final = 10
"""Differences that are kept to be shown, of those that are explained and of those that are not."""
_ROUNDING: Final = 1e-9
"""Share by which values may differ: sums of amounts are whole units times a fraction."""
_UNBOUNDED: Final = 1 << 62


class Verifier:
    """Takes decisions and labels in the order in which they were made and became known.

    The profiles of all accounts are in memory.
    """

    def __init__(
        self, remembering: Remembering, version: str, lag: float, shown: int = SHOWN
    ) -> None:
        """`lag` is how many seconds profiles may be behind, of partitions of other workers."""
        self._remembering = remembering
        self._version = version
        self._memory = ProfileMemory(remembering, lambda keys: [None] * len(keys), _UNBOUNDED)
        self._neighbours = Neighbours(lag)
        self._shown = shown
        self._found = Verified(version)
        self._unexplained: list[Difference] = []
        self._explained: list[Difference] = []

    def fold(self, run: Sequence[Logged]) -> None:
        """Take in decisions, without a comparison."""
        if not run:
            return
        events = self._events([each.decision for each in run])
        self._memory.apply(events)
        self._memory.changed.clear()
        self._found.earlier += len(run)
        for logged, keys in zip(run, _keys(events), strict=True):
            self._neighbours.add(logged, keys)

    def check(self, run: Sequence[Logged]) -> None:
        """Compare decisions, between which no label became known, with those before each."""
        if not run:
            return
        events = self._events([each.decision for each in run])
        rows: list[list[float]] = []
        for together in five_minutes(events):
            # All are read at once: each sees those that are in flight before it.
            rows += self._memory.read(together).tolist()
            self._memory.settle(together)
        self._memory.changed.clear()
        self._keep(self._neighbours.settled(run[0].moment))
        for logged, row, keys in zip(run, rows, _keys(events), strict=True):
            difference = self._compared(logged.decision, row, logged.partition)
            if difference:
                difference.explained = difference.profile_lag > 0 or self._neighbours.explain(
                    logged, keys
                )
            self._neighbours.add(logged, keys)
            if difference and difference.explained:
                self._keep([difference])
            elif difference:
                self._neighbours.watch(difference, logged.moment, keys)

    def learn(self, decisions: Sequence[Decision], changes: Sequence[int]) -> None:
        """Add frauds, or take them back, on decisions."""
        self._memory.add_frauds(self._events(decisions), changes)
        self._memory.changed.clear()
        self._found.labels += len(decisions)

    def result(self) -> Verified:
        """Return what was found; no more can be taken in then."""
        self._keep(self._neighbours.settled(float("inf")))
        self._found.examples = [*self._unexplained, *self._explained]
        return self._found

    def _events(self, decisions: Sequence[Decision]) -> Events:
        seconds = [int(each.decided_at.timestamp()) for each in decisions]
        return self._remembering.events([each.transaction for each in decisions], seconds)

    def _compared(
        self, decision: Decision, row: Sequence[float], partition: int
    ) -> Difference | None:
        found = self._found
        if decision.profile_version != self._version:
            found.of_other_profiles += 1
            return None
        found.compared += 1
        found.first = found.first or decision.decided_at
        found.last = decision.decided_at
        stored, computed = decision.profile, self._remembering.known(row)
        if stored == computed or not (values := _differing(stored, computed)):
            return None
        found.differing += 1
        for name, pair in values.items():
            found.values.setdefault(name, OfValue()).add(pair)
        return Difference(
            decision.transaction_id, decision.decided_at, partition, decision.profile_lag, values
        )

    def _keep(self, differences: Sequence[Difference]) -> None:
        for each in differences:
            self._found.explained += each.explained
            kept = self._explained if each.explained else self._unexplained
            if len(kept) < self._shown:
                kept.append(each)


def _keys(events: Events) -> list[list[bytes]]:
    """Return the keys of the profiles that each decision is in."""
    rows = zip(*(side.keys for side in events.sides), strict=True)
    return [[key for key in row if key is not None] for row in rows]


def _differing(stored: dict[str, float], computed: dict[str, float]) -> dict[str, Pair]:
    pairs = {
        name: Pair(stored.get(name), computed.get(name))
        for name in dict.fromkeys(chain(stored, computed))
    }
    return {name: pair for name, pair in pairs.items() if not _alike(pair.stored, pair.computed)}


def _alike(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _ROUNDING * max(1.0, abs(one), abs(other))
