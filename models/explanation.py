"""A decision in full: what its model has seen in it, and what lists, rules and the sender did.

It is made of what the decision holds and of the model that it names, so it is the same at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct, field

from models.artifact import PROBE_TOLERANCE
from models.policies.definition import Action, Mode, PolicyFile
from models.policy import Policy
from models.records import Decision, Outcome, Reason
from models.schema.reasons import Weighed
from models.schema.schema import Schema
from models.scorer import Explained, Scorer, probability

TOLERANCE: Final = PROBE_TOLERANCE
"""By how much a score may differ when it is computed again: machines round differently."""


class Base(Struct, frozen=True):
    """Where every transaction begins, before anything of it is known."""

    log_odds: float
    """The mean log-odds over the transactions that the model was trained on."""
    probability: float
    """The probability that these log-odds are; not the share of frauds."""


class Recomputed(Struct, frozen=True):
    """The score of the same transaction by the same model, computed for this answer."""

    score: float
    is_same: bool
    """Whether it is that of the decision, but for rounding."""
    note: str
    """Why it may be another one; empty if it is not."""


class Hit(Struct, frozen=True):
    """A rule that held for the transaction."""

    rule: str
    then: Action | None
    """What it asks for; null where the policy is not known any more."""
    mode: Mode | None
    """Whether it decides, as the policy has it; a cap that has begun puts it to test."""


class ByPolicy(Struct, frozen=True):
    """What the policy, its lists and the sender had to say."""

    version: str
    flag_at: float | None
    """The score from which on it is flagged; null where the policy is not known any more."""
    block_at: float | None
    flagged_upstream: bool
    """Whether the sender's own rule has flagged it, which blocks whatever the score."""
    reasons: list[Reason]
    """Those of lists, rules, caps and the sender in the decision."""
    hits: list[Hit]
    """All rules that hit, those in test too."""
    explored: float
    """The share of the model's blocks that are let through as flags, if this is one; else 0."""


class Explanation(Struct, frozen=True):
    """Why a decision is what it is; `base` and all contributions add up to `log_odds`."""

    transaction_id: str
    decision: Outcome
    score: float
    """As the decision has it: the probability that `log_odds` are."""
    model_version: str
    log_odds: float
    """The raw score, calibrated."""
    base: Base
    raising: list[Weighed] = field(name="for")
    """What raises the risk, the strongest first."""
    lowering: list[Weighed] = field(name="against")
    """What lowers it, the strongest first. What contributes nothing is in neither."""
    recomputed: Recomputed
    policy: ByPolicy


def explanation(
    decision: Decision, scorer: Scorer, schema: Schema, policy: PolicyFile | Policy | None = None
) -> Explanation:
    """Explain a decision with the model that it names.

    `policy` is what its policy version names, if that is known. The transaction must be one of
    `schema`. Raises `ValueError` for one that the model cannot score.
    """
    (facts,) = schema.facts([decision])
    found = scorer.explained(facts)
    return Explanation(
        transaction_id=decision.transaction_id,
        decision=decision.decision,
        score=decision.score,
        model_version=decision.model_version,
        log_odds=found.log_odds,
        base=Base(found.base, float(probability(np.array([found.base]))[0])),
        raising=[each for each in found.reasons if each.contribution > 0.0],
        lowering=[each for each in found.reasons if each.contribution < 0.0],
        recomputed=_recomputed(decision, found, schema),
        policy=_by_policy(decision, schema, policy),
    )


def _recomputed(decision: Decision, found: Explained, schema: Schema) -> Recomputed:
    if abs(found.score - decision.score) <= TOLERANCE:
        return Recomputed(found.score, is_same=True, note="")
    note = "The transaction or the model cannot be what it was when it was decided."
    if decision.profile_version != schema.profile_version:
        before, now = decision.profile_version or "none", schema.profile_version or "none"
        note = f"The values of profiles were those of {before}, and the schema has {now} now."
    return Recomputed(found.score, is_same=False, note=note)


def _by_policy(decision: Decision, schema: Schema, policy: PolicyFile | Policy | None) -> ByPolicy:
    return ByPolicy(
        version=decision.policy_version,
        flag_at=policy.flag_at if policy else None,
        block_at=policy.block_at if policy else None,
        flagged_upstream=schema.is_flagged(decision.transaction),
        # Those of the model contribute something.
        reasons=[each for each in decision.reasons if each.contribution == 0.0],
        hits=_hits(decision.hits, policy),
        explored=decision.explored,
    )


def _hits(hits: Sequence[str], policy: PolicyFile | Policy | None) -> list[Hit]:
    rules = {each.id: each for each in policy.rules} if isinstance(policy, PolicyFile) else {}
    return [
        Hit(id_, rules[id_].then, rules[id_].mode) if id_ in rules else Hit(id_, None, None)
        for id_ in hits
    ]
