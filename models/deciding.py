"""Decides a batch of transactions with one call of the scorer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

from msgspec.structs import force_setattr, replace

from models.canary import Canary
from models.inputs import ValidInput
from models.policies.in_force import InForce
from models.policies.ruling import Ruled
from models.records import Decision, Outcome, Reason
from models.schema.features import Matrix
from models.schema.schema import PAYSIM, Schema
from models.scorer import BatchScorer, Floats
from models.shadow import Batch, shadows

MAX_REASONS: Final = 3
"""Reasons of a decision, unless more lists and rules have asked for it."""
MAX_SAID: Final = 10
"""Reasons of lists and rules in a decision, at most; `hits` has all rules."""


class Profiled(NamedTuple):
    """What is known of the accounts of several transactions."""

    known: Sequence[dict[str, float]] = ()
    """Values by name, for each transaction; empty if the schema declares none."""
    lag: float = 0.0
    """Seconds by which it is behind, if that matters."""

    def at(self, rows: Sequence[int]) -> Profiled:
        """Return that of some of the transactions."""
        return Profiled([self.known[row] for row in rows] if self.known else (), self.lag)


UNPROFILED: Final = Profiled()
Explain = Callable[[Sequence[Any], Sequence[int]], list[list[Reason]]]
Seen = Callable[[Matrix, Floats, Sequence[Decision]], None]
"""Is called with what a model has seen, the scores, and the decisions, all in the same order."""


class _Rows(NamedTuple):
    """Transactions of a batch; all columns have the same length."""

    candidates: Sequence[ValidInput]
    known: Sequence[dict[str, float]]
    facts: Sequence[Any]
    """With the values of profiles."""

    def at(self, places: Sequence[int]) -> _Rows:
        columns: Any = ([column[place] for place in places] for column in self)
        return _Rows(*columns)


class _Scored(NamedTuple):
    """Transactions that one model decides, with its scores."""

    rows: _Rows
    matrix: Matrix
    scores: Floats
    scorer: BatchScorer
    policy: InForce
    """With what is in shadow of this model."""
    explain: Explain


def decide(
    candidates: Sequence[ValidInput],
    *,
    scorer: BatchScorer,
    policy: InForce,
    now: datetime,
    schema: Schema = PAYSIM,
    profiles: Profiled = UNPROFILED,
    seen: Seen | None = None,
) -> list[Decision]:
    """Decide each candidate; the decisions are in the same order.

    `profiles` has what the schema remembers of their accounts. Transactions that the model approves
    get no reasons, since explaining costs more than scoring. `seen` is called once all are decided,
    for each model that has decided some. Models in the policy's shadow score the same batch, once
    it is decided: see `models.shadow`; one of them may decide for some: see `models.canary`. Raises
    `ValueError` if the model has no score for one of the candidates; see `unscored`.
    """
    transactions = [candidate.transaction for candidate in candidates]
    known = profiles.known or [{}] * len(transactions)
    rows = _Rows(candidates, known, schema.with_profiles(transactions, known))
    if (canary := policy.canary) and not policy.caps.on_all:
        parts, order = _by_two(rows, canary, scorer, policy)
    else:
        parts, order = [_by_champion(rows, scorer, policy)], []
    decisions = [_decided(part, now, schema, profiles.lag) for part in parts]
    if seen:
        for part, each in zip(parts, decisions, strict=True):
            if each:
                seen(part.matrix, part.scores, each)
    if not order:
        return decisions[0]
    by_place = dict(zip(order, chain(*decisions), strict=True))
    return [by_place[place] for place in range(len(candidates))]


def _by_champion(rows: _Rows, scorer: BatchScorer, policy: InForce) -> _Scored:
    matrix = scorer.matrix(rows.facts)
    scores = scorer.score_matrix(matrix)
    return _Scored(rows, matrix, scores, scorer, policy, scorer.explain)


def _by_two(
    rows: _Rows, canary: Canary, scorer: BatchScorer, policy: InForce
) -> tuple[list[_Scored], list[int]]:
    """Return what the champion decides and then what the canary does, and the places of both.

    Each row goes its way whatever the others of its batch are.
    """
    places, matrix, scores = canary.score(rows.facts)
    left = sorted({*range(len(rows.facts))} - {*places})
    champions = _by_champion(rows.at(left), scorer, policy)
    swapped = policy._replace(challengers=[canary.champion] if policy.challengers else ())
    model = canary.challenger.scorer
    own = _Scored(rows.at(places), matrix, scores, model, swapped, canary.explain)
    return [champions, own], [*left, *places]


def _decided(part: _Scored, now: datetime, schema: Schema, lag: float) -> list[Decision]:
    (candidates, known, facts), policy = part.rows, part.policy
    if not candidates:
        return []
    transactions = [candidate.transaction for candidate in candidates]
    origins = [candidate.input.origin for candidate in candidates]
    scores = part.scores.tolist()
    found = policy.look(facts, scores, part.matrix, now)
    ruled = policy.ruling.by(found, facts, scores)
    reasons = _reasons(facts, ruled, part.explain, schema)
    model_version, policy_version, ids = part.scorer.version, policy.version, policy.ruling.ids
    decisions = [
        Decision(
            transaction_id=transaction.transaction_id,
            decision=each.outcome,
            score=score,
            reasons=reasons.get(row, []),
            model_version=model_version,
            policy_version=policy_version,
            decided_at=now,
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            transaction=transaction,
            schema_version=schema.version,
            hits=ids(each.hits) if each.hits else [],
            profile=known[row],
            profile_version=schema.profile_version,
        )
        for row, (transaction, origin, score, each) in enumerate(
            zip(transactions, origins, scores, ruled, strict=True)
        )
    ]
    # They are new, so that nobody has seen them change. Most have neither; with more arguments than
    # these, it takes twice as long to make one. What is given is encoded, even if it is a default.
    if policy.challengers:
        batch = Batch(facts, part.scorer, part.matrix, scores, found, ruled, now)
        for decision, said in zip(decisions, shadows(batch, policy), strict=True):
            force_setattr(decision, "shadow", said)
    if lag:
        for decision in decisions:
            force_setattr(decision, "profile_lag", lag)
    if policy.ruling.policy.explore:
        decisions = _explored(decisions, ruled)
    return decisions


def unscored(
    candidates: Sequence[ValidInput],
    *,
    scorer: BatchScorer,
    policy: InForce,
    now: datetime,
    schema: Schema = PAYSIM,
    profiles: Profiled = UNPROFILED,
) -> dict[str, str]:
    """Return why candidates have no score, by id, after `decide` has raised on all of them."""
    found = {}
    alone = policy._replace(challengers=())
    given: Any = {"scorer": scorer, "policy": alone, "now": now, "schema": schema}
    for row, each in enumerate(candidates):
        try:
            decide([each], profiles=profiles.at([row]), **given)
        except ValueError as exc:
            found[each.transaction.transaction_id] = f"{scorer.version}: {exc}"
    return found


def _explored(decisions: Iterable[Decision], ruled: Sequence[Ruled]) -> list[Decision]:
    """Return the same decisions; those that are let through say so, and others nothing of it."""
    return [
        replace(decision, explored=each.explored) if each.explored else decision
        for decision, each in zip(decisions, ruled, strict=True)
    ]


def _reasons(
    transactions: Sequence[Any],
    ruled: Sequence[Ruled],
    explain: Explain,
    schema: Schema,
) -> dict[int, list[Reason]]:
    """Return the reasons by row: of lists and rules first, then of the sender, then the model's."""
    said = {row: [*each.reasons[:MAX_SAID]] for row, each in enumerate(ruled) if each.reasons}
    stopped = [row for row, each in enumerate(ruled) if each.outcome is not Outcome.APPROVE]
    if not stopped:
        return said
    explained = explain(transactions, stopped)
    for row, reasons in zip(stopped, explained, strict=True):
        of_policy = said.get(row, [])
        if schema.is_flagged(transactions[row]):
            of_policy = [*of_policy, schema.flagged_upstream]
        said[row] = [*of_policy, *reasons[: max(0, MAX_REASONS - len(of_policy))]]
    return said
