"""A backtest: what a policy would have changed, had it been in force instead of another one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct, field

from models.policies.intervals import Quality, Share, wilson
from models.records import Outcome

OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)

Counts = dict[str, dict[str, float]]


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


class Pair(Struct, frozen=True):
    """Two rules, and how many transactions both hit."""

    rules: tuple[str, str]
    hits: int


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
    pairs: list[Pair] = []
    """The pairs of rules that hit together most often, the most frequent one first."""
    stopped_frauds: dict[str, dict[str, int]] = {}
    """Frauds by outcome, `before` and `after`; empty where nothing is labelled."""
    quality: dict[str, Quality] = {}
    """`before` and `after`; empty where nothing is labelled."""
    policy: str = ""
    """The policy that is tried: its file, or its name in the chain."""
    first: datetime | None = None
    """When the first of the decisions was made; None for transactions of a file."""
    last: datetime | None = None
    made_by: dict[str, int] = {}
    """Decisions by the number of the policy that made them, or by the name of thresholds."""
    of_other_schemas: int = 0
    """Decisions on transactions of other schemas, which are left out."""
    repeated: int = 0
    """Further decisions under an id that was decided before, which are left out."""
    notes: list[str] = []
    """What has to be known to read the numbers, in sentences."""

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


def _table() -> Counts:
    return {before: dict.fromkeys(OUTCOMES, 0.0) for before in OUTCOMES}
