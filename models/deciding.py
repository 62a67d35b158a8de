"""Decides a batch of transactions with one call of the scorer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
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
Seen = Callable[[Matrix, Floats, Sequence[Decision]], None]
"""Is called with what a model has seen, the scores, and the decisions, all in the same order."""


class _Decided(NamedTuple):
    """What one model has decided, all in the same order."""

    matrix: Matrix
    scores: Floats
    decisions: list[Decision]


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
    how: Any = {"scorer": scorer, "policy": policy, "now": now, "schema": schema}
    canary, rows = policy.canary, []
    if canary:
        rows = canary.rows([candidate.transaction for candidate in candidates])
    if canary and rows:
        parts, decisions = _by_two(candidates, canary, rows, profiles, how)
    else:
        parts = [_by_one(candidates, profiles=profiles, **how)]
        decisions = parts[0].decisions
    for each in parts if seen else ():
        if seen and each.decisions:
            seen(*each)
    return decisions


def _by_two(
    candidates: Sequence[ValidInput],
    canary: Canary,
    rows: Sequence[int],
    profiles: Profiled,
    how: Mapping[str, Any],
) -> tuple[list[_Decided], list[Decision]]:
    """Let the canary decide some rows, and the champion all others, or all if the canary fails."""
    policy: InForce = how["policy"]
    others = [each for each in policy.challengers if each is not canary.challenger]
    swapped = policy._replace(challengers=[canary.champion, *others])
    chosen = {**how, "scorer": canary.challenger.scorer, "policy": swapped}
    try:
        some = _by_one([candidates[row] for row in rows], profiles=profiles.at(rows), **chosen)
    except Exception:  # its failures are counted where it is in shadow
        whole = _by_one(candidates, profiles=profiles, **how)
        return [whole], whole.decisions
    if len(rows) == len(candidates):
        return [some], some.decisions
    left = sorted({*range(len(candidates))} - {*rows})
    rest = _by_one([candidates[row] for row in left], profiles=profiles.at(left), **how)
    by_row = dict(zip([*rows, *left], [*some.decisions, *rest.decisions], strict=True))
    return [some, rest], [by_row[row] for row in range(len(candidates))]


def _by_one(
    candidates: Sequence[ValidInput],
    *,
    scorer: BatchScorer,
    policy: InForce,
    now: datetime,
    schema: Schema,
    profiles: Profiled,
) -> _Decided:
    """Decide each candidate by one model."""
    transactions = [candidate.transaction for candidate in candidates]
    origins = [candidate.input.origin for candidate in candidates]
    known = profiles.known or [{}] * len(transactions)
    facts = schema.with_profiles(transactions, known)
    matrix = scorer.matrix(facts)
    scored = scorer.score_matrix(matrix)
    scores = scored.tolist()
    found = policy.look(facts, scores, matrix, now)
    ruled = policy.ruling.by(found, facts, scores)
    reasons = _reasons(facts, ruled, scorer, schema)
    model_version, policy_version, ids = scorer.version, policy.version, policy.ruling.ids
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
        batch = Batch(facts, scorer, matrix, scores, found, ruled, now)
        for decision, said in zip(decisions, shadows(batch, policy), strict=True):
            force_setattr(decision, "shadow", said)
    if profiles.lag:
        for decision in decisions:
            force_setattr(decision, "profile_lag", profiles.lag)
    if policy.ruling.policy.explore:
        decisions = _explored(decisions, ruled)
    return _Decided(matrix, scored, decisions)


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
    scorer: BatchScorer,
    schema: Schema,
) -> dict[int, list[Reason]]:
    """Return the reasons by row: of lists and rules first, then of the sender, then the model's."""
    said = {row: [*each.reasons[:MAX_SAID]] for row, each in enumerate(ruled) if each.reasons}
    stopped = [row for row, each in enumerate(ruled) if each.outcome is not Outcome.APPROVE]
    if not stopped:
        return said
    explained = scorer.explain(transactions, stopped)
    for row, reasons in zip(stopped, explained, strict=True):
        of_policy = said.get(row, [])
        if schema.is_flagged(transactions[row]):
            of_policy = [*of_policy, schema.flagged_upstream]
        said[row] = [*of_policy, *reasons[: max(0, MAX_REASONS - len(of_policy))]]
    return said
