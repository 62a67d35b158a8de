"""What the caps of a policy count: shares of the decisions in a sliding window of time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from math import floor
from typing import Final

from msgspec import Struct

from models.counts import Count
from models.policies.definition import PolicyFile
from models.policies.exploring import EXPLORED
from models.policies.ruling import CAPPED
from models.records import Decision, Outcome

ALL: Final = ""
"""The name of the cap on all that rules and the model block; that on a rule has the rule's id."""
_FLAGGED_UPSTREAM: Final = "FLAGGED_UPSTREAM"


class Counts(Struct, frozen=True):
    """Decisions, and how many of them each cap is about."""

    decisions: Count = 0
    hits: dict[str, Count] = {}
    """By the name of the cap; one that nothing has hit may be left out."""

    def share(self, name: str) -> float:
        """Return the share of the decisions that a cap is about; 0 without decisions."""
        return self.hits.get(name, 0) / self.decisions if self.decisions else 0.0


def limits(policy: PolicyFile) -> dict[str, float]:
    """Return the share above which each cap of a policy begins, by its name; empty without caps.

    Rules that do not block, or are not active, have no cap.
    """
    caps = policy.caps
    found = {
        rule.id: share
        for rule in policy.rules
        if rule.then == "block" and rule.mode == "active"
        if (share := rule.max_share or caps.rule_share) is not None
    }
    return found if caps.block_share is None else {ALL: caps.block_share, **found}


def certain_reasons(policy: PolicyFile) -> frozenset[str]:
    """Return the codes of the first reasons of decisions that no cap on all counts."""
    blocking = (name for name, each in policy.lists.items() if each.then == "block")
    return frozenset({_FLAGGED_UPSTREAM, *(f"LIST_{name.upper()}" for name in blocking)})


def tally(
    decisions: Sequence[Decision], names: Collection[str], certain: Collection[str]
) -> Counts:
    """Count decisions of one policy for the caps with these names.

    The cap on all is about what is blocked, or would be without a cap, unless `certain` has its
    first reason: see `certain_reasons`. The cap of a rule is about all that the rule hits, however
    the decision came about, and also while the rule is in test because of that cap.
    """
    rules = Counter(chain.from_iterable([each.hits for each in decisions if each.hits]))
    hits = {name: count for name, count in rules.items() if name in names}
    if ALL in names:
        approved = Outcome.APPROVE
        stopped = [each for each in decisions if each.decision is not approved]
        hits[ALL] = sum(_is_of_the_policy(each, certain) for each in stopped)
    return Counts(len(decisions), hits)


def _is_of_the_policy(stopped: Decision, certain: Collection[str]) -> bool:
    """Whether rules or the model block it, or would if it were not capped or explored."""
    first = stopped.reasons[0].code if stopped.reasons else ""
    if stopped.decision is Outcome.BLOCK:
        return first not in certain
    return first in (CAPPED.code, EXPLORED.code)


def total(counts: Iterable[Counts]) -> Counts:
    """Add up the counts of several workers."""
    decisions, hits = 0, Counter[str]()
    for each in counts:
        decisions += each.decisions
        hits.update(each.hits)
    return Counts(decisions, dict(hits))


def above(counts: Counts, limits: Mapping[str, float]) -> set[str]:
    """Return the caps whose share is above its limit."""
    return {name for name, limit in limits.items() if counts.share(name) > limit}


class Window:
    """Counts of the present second, and of the seconds before it that are in the window.

    Times are in seconds of a clock that never goes back.
    """

    def __init__(self, seconds: int) -> None:
        """The window has so many seconds, with the present one; memory grows with them."""
        self._length = seconds
        self._seconds: deque[tuple[int, Counter[str], int]] = deque()
        self._hits: Counter[str] = Counter()
        self._decisions = 0

    def add(self, counts: Counts, now: float) -> None:
        """Count decisions that were made now."""
        self._drop_old(now)
        second = floor(now)
        if self._seconds and self._seconds[-1][0] == second:
            _, hits, decisions = self._seconds.pop()
        else:
            hits, decisions = Counter(), 0
        hits.update(counts.hits)
        self._seconds.append((second, hits, decisions + counts.decisions))
        self._hits.update(counts.hits)
        self._decisions += counts.decisions

    def counts(self, now: float) -> Counts:
        """Return what is in the window now."""
        self._drop_old(now)
        return Counts(self._decisions, dict(+self._hits))

    def _drop_old(self, now: float) -> None:
        first = floor(now) - self._length + 1
        while self._seconds and self._seconds[0][0] < first:
            _, hits, decisions = self._seconds.popleft()
            self._hits.subtract(hits)
            self._decisions -= decisions
