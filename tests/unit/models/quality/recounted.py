"""Counts decisions and labels one by one, in a manner of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from models.records import Decision, Outcome
from tests.support.decisions import DECIDED_AT, decision

Key = tuple[str, str, str, str]
"""Monday, model, policy and outcome."""


def key_of(each: Decision) -> Key:
    day = each.decided_at.astimezone(timezone.utc).date()
    policy = each.policy_version.split("+")[0]
    monday = day - timedelta(days=day.weekday())
    return monday.isoformat(), each.model_version, policy, each.decision.value


def decided(decisions: Iterable[Decision]) -> dict[Key, tuple[int, int, int]]:
    """Rows, sum of scores in millionths, and explored rows, by key."""
    rows, scores, explored = Counter[Key](), Counter[Key](), Counter[Key]()
    for each in decisions:
        rows[key_of(each)] += 1
        scores[key_of(each)] += round(each.score * 1_000_000)
        explored[key_of(each)] += each.explored > 0
    return {key: (rows[key], scores[key], explored[key]) for key in rows}


def hits(decisions: Iterable[Decision]) -> Counter[tuple[str, str]]:
    """Hits by Monday and rule."""
    return Counter((key_of(each)[0], rule) for each in decisions for rule in each.hits)


def labelled(
    decisions: Iterable[Decision], labels: Mapping[str, int]
) -> dict[Key, tuple[int, int, int]]:
    """Frauds, legitimate ones, and amounts of frauds in hundredths, by key."""
    found: dict[Key, tuple[int, int, int]] = {}
    for each in decisions:
        label = labels.get(each.transaction_id)
        if label is not None:
            frauds, legitimate, amount = found.get(key_of(each), (0, 0, 0))
            cents = round(each.transaction.amount / 0.01) if label else 0
            found[key_of(each)] = frauds + label, legitimate + 1 - label, amount + cents
    return found


def _decision(number: int, days: int, outcome: Outcome, explored: bool, **fields: Any) -> Decision:
    return decision(
        f"t{number}",
        decision=Outcome.FLAG if explored else outcome,
        explored=0.01 if explored else 0.0,
        decided_at=DECIDED_AT + timedelta(days=days),
        **fields,
    )


many = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 6, 7, 13, 30]),
        st.sampled_from(Outcome),
        st.booleans(),
        st.floats(0, 1),
        st.sampled_from(["m1", "m2"]),
        st.sampled_from(["1+0", "1+5", "2+9", "flag-0.5-block-0.8"]),
        st.lists(st.sampled_from(["large", "at_night"]), unique=True),
    ),
    max_size=30,
).map(
    lambda rows: [
        _decision(
            number,
            days,
            outcome,
            explored,
            score=score,
            model_version=model,
            policy_version=policy,
            hits=rules,
        )
        for number, (days, outcome, explored, score, model, policy, rules) in enumerate(rows)
    ]
)
"""Decisions of a few weeks, with different ids."""
