"""Decides by a policy file: its lists, its rules and its thresholds, in one order.

1. What a list blocks, or the sender has flagged, is blocked. Nothing overrides that.
2. What a list or a rule approves is approved, up to its amount and until it expires.
3. Else the strictest counts of what block rules, thresholds and flag rules say.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from models.policies.definition import Listing, PolicyFile, Rule
from models.policy import Policy
from models.records import Outcome, Reason, Transaction
from models.rules.ruleset import RuleSet
from models.schema import templates
from models.schema.features import Matrix
from models.schema.schema import Schema, getter

Lists = Mapping[str, Container[str]]
"""Entries by the name of the list; a list that is not there is empty."""
_NOTHING: Final[Container[str]] = frozenset()


class Ruled(NamedTuple):
    """What a policy says of one transaction."""

    outcome: Outcome
    hits: tuple[int, ...]
    """Places of all rules that hit, whatever their mode and however the decision came about."""
    reasons: tuple[Reason, ...]
    """Of the lists and rules that asked for this outcome, in their own words."""


class Ruling:
    """A policy file, compiled for a schema."""

    def __init__(self, policy: PolicyFile, schema: Schema) -> None:
        """`policy` is one that `reading.read` has checked against this schema."""
        self.policy = policy
        self._schema = schema
        self._thresholds = Policy(policy.flag_at, policy.block_at)
        self._rules = RuleSet([each.when for each in policy.rules], schema)
        self._says = [
            _reason(f"RULE_{each.id.upper()}", each.reason, schema) for each in policy.rules
        ]
        self._lists = [_List(name, each, schema) for name, each in policy.lists.items()]

    @property
    def lists(self) -> tuple[str, ...]:
        """The names of all lists that this policy looks into."""
        return tuple(dict.fromkeys([*self._rules.lists, *self.policy.lists]))

    @property
    def failures(self) -> dict[str, int]:
        """By rule, how often it could not be computed, and so did not hit."""
        pairs = zip(self.policy.rules, self._rules.failures, strict=True)
        return {rule.id: count for rule, count in pairs if count}

    def rule(
        self,
        transactions: Sequence[Transaction],
        scores: Sequence[float],
        matrix: Matrix,
        *,
        lists: Lists,
        now: datetime,
    ) -> list[Ruled]:
        """Return what the policy says of each transaction at a moment; rows are independent.

        Raises `ValueError` for a score that is none.
        """
        in_force = [_is_in_force(each, now) for each in self.policy.rules]
        listing = [
            (each, lists.get(each.name, _NOTHING))
            for each in self._lists
            if each.listing.expires_at is None or now < each.listing.expires_at
        ]
        hits = self._rules.hits(transactions, scores, matrix, lists)
        return [
            self._ruled(transaction, score, found, in_force, listing)
            for transaction, score, found in zip(transactions, scores, hits, strict=True)
        ]

    def _ruled(
        self,
        transaction: Transaction,
        score: float,
        hits: tuple[int, ...],
        in_force: Sequence[bool],
        listing: Sequence[tuple[_List, Container[str]]],
    ) -> Ruled:
        flagged = self._schema.is_flagged(transaction)
        outcome = self._thresholds.decide(score, flagged_upstream=flagged)
        active = [at for at in hits if in_force[at]]
        listed = [each for each, entries in listing if each.field(transaction) in entries]
        if not active and not listed:
            return Ruled(outcome, hits, ())
        blocking = [each for each in listed if each.listing.then == "block"]
        if flagged or blocking:
            return Ruled(Outcome.BLOCK, hits, tuple(each.reason(transaction) for each in blocking))
        amount = self._schema.amount(transaction)
        if approving := [
            *(each.reason for each in listed if _lets_by(each.listing, amount)),
            *(self._says[at] for at in active if _lets_by(self.policy.rules[at], amount)),
        ]:
            return Ruled(Outcome.APPROVE, hits, tuple(say(transaction) for say in approving))
        asked = {self.policy.rules[at].then for at in active}
        if "block" in asked:
            outcome = Outcome.BLOCK
        elif "flag" in asked and outcome is Outcome.APPROVE:
            outcome = Outcome.FLAG
        said = [at for at in active if self.policy.rules[at].then.upper() == outcome.value]
        return Ruled(outcome, hits, tuple(self._says[at](transaction) for at in said))


class _List:
    def __init__(self, name: str, listing: Listing, schema: Schema) -> None:
        self.name, self.listing = name, listing
        self.field = getter(listing.field)
        self.reason = _reason(f"LIST_{name.upper()}", listing.reason, schema)


def _reason(code: str, template: str, schema: Schema) -> Callable[[Transaction], Reason]:
    say = templates.compiled(template, schema.definition)
    return lambda transaction: Reason(code, say(transaction), 0.0)


def _is_in_force(rule: Rule, now: datetime) -> bool:
    return rule.mode == "active" and (rule.expires_at is None or now < rule.expires_at)


def _lets_by(given: Rule | Listing, amount: float | None) -> bool:
    if given.then != "approve" or given.up_to is None:
        return False
    return amount is not None and amount <= given.up_to
