"""Decides by a policy file: its lists, its rules and its thresholds, in one order.

1. What a list blocks, or the sender has flagged, is blocked. Nothing overrides that.
2. What a list or a rule approves is approved, up to its amount and until it expires.
3. Else the strictest counts of what block rules, thresholds and flag rules say. If a cap of the
   policy has begun, what they would block is flagged; else a share of what thresholds alone block.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime, timezone
from typing import Final, NamedTuple

from models.policies.bounds import ALWAYS, end_of, lets_by
from models.policies.definition import Listing, PolicyFile
from models.policies.exploring import EXPLORED, is_chosen
from models.records import Outcome, Reason, Transaction
from models.rules.ruleset import RuleSet
from models.schema import templates
from models.schema.features import Matrix
from models.schema.schema import Schema, getter

Lists = Mapping[str, Container[str]]
"""Entries by the name of the list; a list that is not there is empty."""
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
        plain = self._plain(transactions, scores)
        expired, active = self._phase(now, caps)
        hits = self._set.hits(transactions, scores, matrix, lists)
        if expired:
            hits = [tuple(at for at in each if at not in expired) for each in hits]
        listed = self._listed(transactions, lists, now)
        touched = {row for row, each in enumerate(hits) if each} | listed.keys()
        for row in touched:
            plain[row] = self._ruled(
                transactions[row], plain[row], hits[row], active, listed.get(row, ())
            )
        if caps.on_all:
            return [*map(_capped, plain)]
        if share := self.policy.explore:
            for row, each in enumerate(plain):
                if _is_the_models(each) and is_chosen(transactions[row].transaction_id, share):
                    plain[row] = Ruled(Outcome.FLAG, each.hits, (EXPLORED,), explored=share)
        return plain

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

    def _plain(self, transactions: Sequence[Transaction], scores: Sequence[float]) -> list[Ruled]:
        """Return what thresholds and the sender say, with which most transactions end."""
        # NaN fails the comparison of the sum.
        if scores and not (min(scores) >= 0.0 and max(scores) <= 1.0 and sum(scores) >= 0.0):
            wrong = next(each for each in scores if not 0.0 <= each <= 1.0)
            raise ValueError(f"score must be in 0..1, got {wrong!r}")
        flag_at, block_at = self.policy.flag_at, self.policy.block_at
        return [
            _SENT
            if flagged
            else _BLOCK
            if score >= block_at
            else _FLAG
            if score >= flag_at
            else _APPROVE
            for flagged, score in zip(map(self._schema.flag, transactions), scores, strict=True)
        ]

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

    def _ruled(
        self,
        transaction: Transaction,
        plain: Ruled,
        hits: tuple[int, ...],
        in_force: Sequence[bool],
        listed: Sequence[_List],
    ) -> Ruled:
        for at in hits:
            self._hits[at] += 1
        active = [at for at in hits if in_force[at]]
        blocking = [each for each in listed if each.listing.then == "block"]
        if plain is _SENT or blocking:
            said = tuple(each.reason(transaction) for each in blocking)
            return Ruled(Outcome.BLOCK, hits, said, True)
        amount = self._schema.amount(transaction)
        if approving := [
            *(each.reason for each in listed if lets_by(each.listing, amount)),
            *(self._says[at] for at in active if lets_by(self.rules[at], amount)),
        ]:
            return Ruled(Outcome.APPROVE, hits, tuple(say(transaction) for say in approving))
        outcome, asked = plain.outcome, {self.rules[at].then for at in active}
        if "block" in asked:
            outcome = Outcome.BLOCK
        elif "flag" in asked and outcome is Outcome.APPROVE:
            outcome = Outcome.FLAG
        agreeing = [at for at in active if self.rules[at].then.upper() == outcome.value]
        return Ruled(outcome, hits, tuple(self._says[at](transaction) for at in agreeing))


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


def _reason(code: str, template: str, schema: Schema) -> Callable[[Transaction], Reason]:
    say = templates.compiled(template, schema.definition)
    return lambda transaction: Reason(code, say(transaction), 0.0)
