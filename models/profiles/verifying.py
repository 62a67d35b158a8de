"""Computes the profiles of decisions again, and compares them with what the decisions say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from models.profiles.differences import Difference, OfValue, Pair, Verified, alike
from models.profiles.events import Events
from models.profiles.judging import Judging
from models.profiles.memory import ProfileMemory, five_minutes
from models.profiles.neighbours import Logged, parts_of
from models.profiles.reading import Floats
from models.profiles.remembering import Remembering
from models.profiles.totals import Totals
from models.records import Decision

SHOWN: Final = 10
"""Differences that are kept to be shown, of those that are explained and of those that are not."""
_UNBOUNDED: Final = 1 << 62


class Verifier:
    """Takes decisions and labels in the order in which they were made and became known.

    The profiles of all accounts are in memory.
    """

    def __init__(
        self, remembering: Remembering, version: str, lag: float, shown: int = SHOWN
    ) -> None:
        """`lag` is how many seconds profiles may be behind, of partitions of other workers."""
        self._totals = totals = Totals(remembering)
        self._version = version
        self._remembering = remembering
        self._columns = [totals.names.index(name) for name in remembering.names]
        self._memory = ProfileMemory(totals, lambda keys: [None] * len(keys), _UNBOUNDED)
        self._judging = Judging(totals, lag)
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
        for logged, parts in zip(run, parts_of(events), strict=True):
            self._judging.add(logged, parts)
        self._keep(self._judging.judged())

    def check(self, run: Sequence[Logged]) -> None:
        """Compare decisions, between which no label became known, with those before each."""
        if not run:
            return
        events = self._events([each.decision for each in run])
        rows: list[Floats] = []
        values: list[list[float]] = []
        for together in five_minutes(events):
            # All are read at once: each sees those that are in flight before it.
            found = self._memory.read(together)
            rows += [*found]
            values += found[:, self._columns].tolist()
            self._memory.settle(together)
        self._memory.changed.clear()
        for logged, row, own, parts in zip(run, rows, values, parts_of(events), strict=True):
            difference = self._compared(logged, own)
            computed = self._totals.known(row.tolist()) if difference else None
            self._judging.add(logged, parts, difference, computed)
        self._keep(self._judging.judged())

    def learn(self, decisions: Sequence[Decision], changes: Sequence[int], second: float) -> None:
        """Add frauds, or take them back, on decisions: others see them from a second on.

        Seconds follow each other, and none is after the decisions that are checked next.
        """
        events = self._events(decisions)
        self._memory.add_frauds(events, changes)
        self._memory.changed.clear()
        for parts, change in zip(parts_of(events), changes, strict=True):
            self._judging.learn(second, parts, change)
        self._found.labels += len(decisions)

    def result(self) -> Verified:
        """Return what was found; no more can be taken in then."""
        self._judging.end()
        self._keep(self._judging.judged())
        self._found.examples = [*self._unexplained, *self._explained]
        return self._found

    def _events(self, decisions: Sequence[Decision]) -> Events:
        seconds = [int(each.decided_at.timestamp()) for each in decisions]
        return self._totals.events([each.transaction for each in decisions], seconds)

    def _compared(self, logged: Logged, row: Sequence[float]) -> Difference | None:
        found, decision = self._found, logged.decision
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
        lag = decision.profile_lag
        return Difference(
            decision.transaction_id, decision.decided_at, logged.partition, lag, values
        )

    def _keep(self, differences: Sequence[Difference]) -> None:
        for each in differences:
            self._found.explained += each.explained
            kept = self._explained if each.explained else self._unexplained
            if len(kept) < self._shown:
                kept.append(each)


def _differing(stored: dict[str, float], computed: dict[str, float]) -> dict[str, Pair]:
    pairs = {
        name: Pair(stored.get(name), computed.get(name))
        for name in dict.fromkeys(chain(stored, computed))
    }
    return {name: pair for name, pair in pairs.items() if not alike(pair.stored, pair.computed)}
