"""Decides by a policy file: its lists, its rules and its thresholds, in one order.

1. What a list blocks, or the sender has flagged, is blocked. Nothing overrides that.
2. What a list or a rule approves is approved, up to its amount and until it expires.
3. Else the strictest counts of what block rules, thresholds and flag rules say. If a cap of the
   policy has begun, what they would block is flagged; else a share of what thresholds alone block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from models.activity import OUTCOMES
from models.policies.bounds import ALWAYS, end_of, lets_by
from models.policies.definition import Listing, PolicyFile
from models.policies.exploring import EXPLORED, is_chosen
from models.records import Outcome, Reason, Transaction
from models.rules.ruleset import Hits, RuleSet
from models.schema import templates
from models.schema.features import Matrix
from models.schema.schema import Schema, getter
from models.scorer import Floats

Lists = Mapping[str, Container[str]]
"""Entries by the name of the list; a list that is not there is empty."""
_Say = Callable[[Transaction], Reason]
CAPPED: Final = Reason(
    "CAPPED", "It would be blocked; so many have been of late that they are flagged instead.", 0.0
)
"""The reason of what a cap has kept from being blocked."""
_NEVER: Final = datetime.min.replace(tzinfo=timezone.utc)


class Begun(NamedTuple):
    """The caps of a policy that have begun and not ended."""

    on_all: bool = False
    """Whether what rules and the model would block is flagged."""
    rules: frozenset[str] = frozenset()
    """The rules that are in test because of their caps."""


NO_CAPS: Final = Begun()


class Ruled(NamedTuple):
    """What a policy says of one transaction."""

    outcome: Outcome
    hits: tuple[int, ...]
    """Places in `Ruling.rules` of all that hit, in test too, however the decision came about."""
    reasons: tuple[Reason, ...]
    """Of the lists and rules that asked for this outcome, in their own words."""
    is_certain: bool = False
    """Whether a list or the sender has blocked it, which no cap counts."""
    explored: float = 0.0
    """See `Decision.explored`."""


class Found(NamedTuple):
    """What was found of transactions before their outcomes, which scores decide with it.

    It holds for other scores as well, unless a rule uses them: see `Ruling.uses_score`.
    """

    hits: Hits
    """By row; empty without any rule."""
    active: Sequence[bool]
    """By place, whether a rule decides if it hits."""
    listed: Mapping[int, Sequence[_List]]
    """By row, the lists that have an entry of the transaction."""
    touched: Collection[int]
    """The rows that a list or a rule is about."""
    sent: Collection[int]
    """The rows that the sender has flagged."""
    caps: Begun


class _Phase(NamedTuple):
    expired: set[int]
    """Places of the rules that are over."""
    active: list[bool]
    """By place, whether a rule decides if it hits."""


_SENT: Final = Ruled(Outcome.BLOCK, (), (), True)
_BLOCK, _FLAG, _APPROVE = (
    Ruled(outcome, (), ()) for outcome in (Outcome.BLOCK, Outcome.FLAG, Outcome.APPROVE)
)
"""What most transactions end with: no list and no rule is about them."""


class Ruling:
    """A policy file, compiled for a schema."""

    def __init__(self, policy: PolicyFile, schema: Schema) -> None:
        """`policy` is one that `reading.read` has checked against this schema."""
        self.policy = policy
        self.rules = [each for each in policy.rules if each.mode != "off"]
        """The rules that are evaluated."""
        self._schema = schema
        self._set = RuleSet([each.when for each in self.rules], schema)
        self._ids = [each.id for each in self.rules]
        self._says = [
            _reason(f"RULE_{each.id.upper()}", each.reason, schema) for each in self.rules
        ]
        self._hits = [0] * len(self.rules)
        self._last_phase = _NEVER, _NEVER, NO_CAPS, _Phase(set(), [])
        self._lists = [_List(name, each, schema) for name, each in policy.lists.items()]

    @property
    def lists(self) -> tuple[str, ...]:
        """The names of all lists that this policy looks into."""
        return tuple(dict.fromkeys([*self._set.lists, *self.policy.lists]))

    @property
    def uses_features(self) -> bool:
        """Whether `rule` needs the matrix."""
        return bool(self._set.features)

    @property
    def uses_score(self) -> bool:
        """Whether what is found depends on scores, since a rule uses them."""
        return any(each.uses_score for each in self._set.rules)

    @cached_property
    def _uncounted(self) -> RuleSet:
        """The same rules with counts that nobody reads."""
        return RuleSet([each.when for each in self.rules], self._schema)

    @property
    def hits(self) -> dict[str, int]:
        """By rule, how often it has hit, in test too."""
        return dict(zip(self._ids, self._hits, strict=True))

    @property
    def failures(self) -> dict[str, int]:
        """By rule, how often it could not be computed, and so did not hit."""
        return {
            id_: count for id_, count in zip(self._ids, self._set.failures, strict=True) if count
        }

    def ids(self, hits: Sequence[int]) -> list[str]:
        """Return the ids of rules by their places."""
        return [self._ids[at] for at in hits]

    def rule(
        self,
        transactions: Sequence[Transaction],
        scores: Sequence[float],
        matrix: Matrix | None,
        *,
        lists: Lists,
        now: datetime,
        caps: Begun = NO_CAPS,
    ) -> list[Ruled]:
        """Return what the policy says of each transaction at a moment; rows are independent.

        `matrix` may be None unless `uses_features`. Raises `ValueError` for a score that is none.
        """
        found = self.look(transactions, scores, matrix, lists=lists, now=now, caps=caps)
        return self.by(found, transactions, scores)

    def look(
        self,
        transactions: Sequence[Transaction],
        scores: Sequence[float],
        matrix: Matrix | None,
        *,
        lists: Lists,
        now: datetime,
        caps: Begun = NO_CAPS,
        counted: bool = True,
    ) -> Found:
        """Return which lists and rules are about each transaction; arguments as those of `rule`.

        What is not `counted` changes neither `hits` nor `failures`.
        """
        expired, active = self._phase(now, caps)
        listed = self._listed(transactions, lists, now) if self._lists else {}
        touched: Collection[int] = listed.keys()
        hits: Hits = []
        if self._ids:
            rules = self._set if counted else self._uncounted
            hits = rules.hits(transactions, scores, matrix, lists)
            if expired:
                hits = [tuple(at for at in each if at not in expired) for each in hits]
            if counted:
                for at in chain.from_iterable(filter(None, hits)):
                    self._hits[at] += 1
            touched = {row for row, each in enumerate(hits) if each} | listed.keys()
        flags = [*map(self._schema.flag, transactions)]
        sent = {row for row, flagged in enumerate(flags) if flagged} if any(flags) else ()
        return Found(hits, active, listed, touched, sent, caps)

    def by(
        self, found: Found, transactions: Sequence[Transaction], scores: Sequence[float]
    ) -> list[Ruled]:
        """Return what the policy says by what was found; raises like `rule`."""
        plain = self._plain(scores, found.sent)
        for row in found.touched:
            each = transactions[row]
            outcome, says, is_certain = self._decided(each, plain[row].outcome, row, found)
            reasons = tuple(say(each) for say in says)
            hits = found.hits[row] if found.hits else ()
            plain[row] = Ruled(outcome, hits, reasons, is_certain)
        if found.caps.on_all:
            return [*map(_capped, plain)]
        if share := self.policy.explore:
            for row, ruled in enumerate(plain):
                if _is_the_models(ruled) and is_chosen(transactions[row].transaction_id, share):
                    plain[row] = Ruled(Outcome.FLAG, ruled.hits, (EXPLORED,), explored=share)
        return plain

    def outcomes(
        self, found: Found, transactions: Sequence[Transaction], scores: Floats
    ) -> list[Outcome]:
        """Return the outcomes of the same without the cap on all and without `explore`.

        Rules that their caps have put in test are in test here as well. `scores` are from 0 to 1.
        """
        above = (scores >= self.policy.flag_at).astype(np.intp) + (scores >= self.policy.block_at)
        outcomes = [*map(OUTCOMES.__getitem__, above.tolist())]
        for row in found.sent:
            outcomes[row] = Outcome.BLOCK
        for row in found.touched:
            outcomes[row] = self._decided(transactions[row], outcomes[row], row, found)[0]
        return outcomes

    def _phase(self, now: datetime, caps: Begun) -> _Phase:
        """Return which rules are over at a moment, and which count; mostly as the last time."""
        since, until, known, phase = self._last_phase
        if not (since <= now < until and known == caps):
            ends = [end_of(each) for each in self.rules]
            since = max((each for each in ends if each <= now), default=_NEVER)
            until = min((each for each in ends if each > now), default=ALWAYS)
            phase = _Phase(
                {at for at, end in enumerate(ends) if end <= now},
                [
                    rule.mode == "active" and end > now and rule.id not in caps.rules
                    for rule, end in zip(self.rules, ends, strict=True)
                ],
            )
            self._last_phase = since, until, caps, phase
        return phase

    def _plain(self, scores: Sequence[float], sent: Iterable[int]) -> list[Ruled]:
        """Return what thresholds and the sender say, with which most transactions end."""
        # NaN fails the comparison of the sum.
        if scores and not (min(scores) >= 0.0 and max(scores) <= 1.0 and sum(scores) >= 0.0):
            wrong = next(each for each in scores if not 0.0 <= each <= 1.0)
            raise ValueError(f"score must be in 0..1, got {wrong!r}")
        flag_at, block_at = self.policy.flag_at, self.policy.block_at
        plain = [
            _BLOCK if score >= block_at else _FLAG if score >= flag_at else _APPROVE
            for score in scores
        ]
        for row in sent:
            plain[row] = _SENT
        return plain

    def _listed(
        self, transactions: Sequence[Transaction], lists: Lists, now: datetime
    ) -> dict[int, list[_List]]:
        """Return the lists that have an entry of a transaction, by its row."""
        found: dict[int, list[_List]] = {}
        for each in self._lists:
            if (entries := lists.get(each.name)) and now < end_of(each.listing):
                for row, value in enumerate(map(each.field, transactions)):
                    if value in entries:
                        found.setdefault(row, []).append(each)
        return found

    def _decided(
        self, transaction: Transaction, plain: Outcome, row: int, found: Found
    ) -> tuple[Outcome, Sequence[_Say], bool]:
        """Return the outcome, the reasons of those who ask for it, and whether it is certain."""
        active = [at for at in found.hits[row] if found.active[at]] if found.hits else []
        listed = found.listed.get(row, ())
        blocking = [each.reason for each in listed if each.listing.then == "block"]
        if row in found.sent or blocking:
            return Outcome.BLOCK, blocking, True
        amount = self._schema.amount(transaction)
        if approving := [
            *(each.reason for each in listed if lets_by(each.listing, amount)),
            *(self._says[at] for at in active if lets_by(self.rules[at], amount)),
        ]:
            return Outcome.APPROVE, approving, False
        outcome, asked = plain, {self.rules[at].then for at in active}
        if "block" in asked:
            outcome = Outcome.BLOCK
        elif "flag" in asked and outcome is Outcome.APPROVE:
            outcome = Outcome.FLAG
        agreeing = [at for at in active if self.rules[at].then.upper() == outcome.value]
        return outcome, [self._says[at] for at in agreeing], False


def _capped(ruled: Ruled) -> Ruled:
    if ruled.outcome is not Outcome.BLOCK or ruled.is_certain:
        return ruled
    return Ruled(Outcome.FLAG, ruled.hits, (CAPPED, *ruled.reasons))


def _is_the_models(ruled: Ruled) -> bool:
    """Whether it is blocked, and neither a list, nor the sender, nor a rule has asked for it."""
    return ruled.outcome is Outcome.BLOCK and not ruled.is_certain and not ruled.reasons


class _List:
    def __init__(self, name: str, listing: Listing, schema: Schema) -> None:
        self.name, self.listing = name, listing
        self.field = getter(listing.field)
        self.reason = _reason(f"LIST_{name.upper()}", listing.reason, schema)


def _reason(code: str, template: str, schema: Schema) -> _Say:
    say = templates.compiled(template, schema.definition)
    return lambda transaction: Reason(code, say(transaction), 0.0)
