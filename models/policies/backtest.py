"""A backtest: what a policy would have changed, had it been in force instead of another one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from models.policies.ruling import Ruled, Ruling
from models.records import Outcome

OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
_Z: Final = 1.959963984540054
"""Of a normal distribution: 95 % lie within so many standard deviations."""

Counts = dict[str, dict[str, float]]


class Share(Struct, frozen=True):
    """A share with its interval of 95 % (Wilson, 1927), which holds for few rows, too."""

    value: float
    low: float
    high: float


class RuleHits(Struct):
    """What one rule hit."""

    id: str
    then: str
    mode: str
    hits: int = 0
    only: int = 0
    """Those that no other rule hit."""
    frauds: int = 0
    """Those labelled as fraud."""
    amount: float = 0.0
    failures: int = 0
    """Transactions for which it could not be computed."""


class Backtest(Struct):
    """Counts of transactions by outcome, before and after; amounts alike."""

    rows: int = 0
    frauds: int | None = None
    """None where nothing is labelled."""
    changed: int = 0
    counts: Counts = field(default_factory=lambda: _table())
    """By outcome before, then by outcome after."""
    amounts: Counts = field(default_factory=lambda: _table())
    rules: list[RuleHits] = []
    stopped_frauds: dict[str, dict[str, int]] = {}
    """Frauds by outcome, `before` and `after`; empty where nothing is labelled."""

    def share(self, outcome: str) -> float:
        """Return the share of all transactions that have an outcome after; 0 of none."""
        return sum(row[outcome] for row in self.counts.values()) / self.rows if self.rows else 0.0

    def precision(self, when: str) -> Share | None:
        """Return the share of frauds in what is blocked, `before` or `after`; None if unknown."""
        blocked = (
            sum(self.counts["BLOCK"].values())
            if when == "before"
            else sum(row["BLOCK"] for row in self.counts.values())
        )
        return self._share(when, blocked)

    def recall(self, when: str) -> Share | None:
        """Return the share of frauds that are blocked, `before` or `after`; None if unknown."""
        return self._share(when, self.frauds or 0)

    def _share(self, when: str, whole: float) -> Share | None:
        if not self.stopped_frauds or not whole:
            return None
        return wilson(self.stopped_frauds[when]["BLOCK"], int(whole))


class Comparison:
    """Adds up a backtest, batch by batch."""

    def __init__(self, after: Ruling) -> None:
        self._after = after
        self.found = Backtest(
            rules=[RuleHits(each.id, each.then, each.mode) for each in after.policy.rules]
        )

    def add(
        self,
        before: Sequence[Outcome],
        after: Sequence[Ruled],
        amounts: Sequence[float],
        frauds: Sequence[bool] | None,
    ) -> None:
        """Add transactions: their outcomes, amounts (0 if unknown) and labels, None without any."""
        found = self.found
        found.rows += len(before)
        for place, (was, ruled) in enumerate(zip(before, after, strict=True)):
            amount, fraud = amounts[place], bool(frauds and frauds[place])
            found.counts[was.value][ruled.outcome.value] += 1
            found.amounts[was.value][ruled.outcome.value] += amount
            found.changed += was is not ruled.outcome
            for at in ruled.hits:
                hit = found.rules[at]
                hit.hits += 1
                hit.only += len(ruled.hits) == 1
                hit.frauds += fraud
                hit.amount += amount
            if fraud:
                self._add_fraud(was, ruled.outcome)

    def result(self) -> Backtest:
        """Return what was added up so far."""
        for rule in self.found.rules:
            rule.failures = self._after.failures.get(rule.id, 0)
        return self.found

    def _add_fraud(self, was: Outcome, now: Outcome) -> None:
        found = self.found
        found.frauds = (found.frauds or 0) + 1
        if not found.stopped_frauds:
            found.stopped_frauds = {
                each: dict.fromkeys(OUTCOMES, 0) for each in ("before", "after")
            }
        found.stopped_frauds["before"][was.value] += 1
        found.stopped_frauds["after"][now.value] += 1


def wilson(part: int, whole: int) -> Share:
    """Return the share of `part` in `whole`, which is above 0, with its interval."""
    share = part / whole
    middle = share + _Z**2 / (2 * whole)
    away = _Z * math.sqrt(share * (1 - share) / whole + _Z**2 / (4 * whole**2))
    scale = 1 + _Z**2 / whole
    return Share(share, max(0.0, (middle - away) / scale), min(1.0, (middle + away) / scale))


def _table() -> Counts:
    return {before: dict.fromkeys(OUTCOMES, 0.0) for before in OUTCOMES}
