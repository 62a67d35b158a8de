"""What rules and lists cost by themselves, without a worker and its servers."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from models.deciding import decide
from models.inputs import Input, Position, ValidInput
from models.policies.in_force import InForce, of_thresholds
from models.policy import Policy
from models.rules.ruleset import RuleSet
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from tests.benchmarks.backlog import paysim
from tests.benchmarks.timing import BATCH_ROWS, microseconds

COMPARED_ROWS: Final = 20_000
"""Rows on which decisions under a policy are compared with those without."""
WITHOUT: Final = of_thresholds(Policy(), PAYSIM)
"""What decides without a policy: the thresholds of the settings."""


def deciding(scorer: Scorer, policy: InForce) -> dict[str, float]:
    """Microseconds an event of `decide`, in a batch and alone."""
    now = datetime.now(timezone.utc)
    batch = candidates(BATCH_ROWS)
    decisions = decide(batch, scorer=scorer, policy=policy, now=now)
    # Most transactions are like this one; to explain another outcome costs more than to decide.
    one = [batch[next(row for row, each in enumerate(decisions) if not each.reasons)]]

    def timed(rows: list[ValidInput], number: int) -> float:
        call = microseconds(lambda: decide(rows, scorer=scorer, policy=policy, now=now), number)
        return call / len(rows)

    return {
        f"µs to decide, of {BATCH_ROWS}": timed(batch, 20),
        "µs to decide, one": timed(one, 200),
    }


def compared(scorer: Scorer, policy: InForce) -> dict[str, float]:
    """How fast the rules are by themselves, and what they change."""
    now = datetime.now(timezone.utc)
    rows = candidates(COMPARED_ROWS)
    plain, ruled = (decide(rows, scorer=scorer, policy=each, now=now) for each in (WITHOUT, policy))
    batch = [each.transaction for each in rows[:BATCH_ROWS]]
    matrix, scores = scorer.matrix(batch), [each.score for each in plain[:BATCH_ROWS]]
    rules = RuleSet([each.when for each in policy.ruling.rules], PAYSIM)
    lists = policy.lists(now)
    spent = microseconds(lambda: rules.hits(batch, scores, matrix, lists), 20)
    hit = sum(bool(each.hits) for each in ruled)
    changed = sum(each.decision != other.decision for each, other in zip(plain, ruled, strict=True))
    return {
        "million evaluations of a rule, a second and core": len(rules.rules) * BATCH_ROWS / spent,
        "% of transactions that a rule hits": 100 * hit / len(rows),
        "% decided otherwise": 100 * changed / len(rows),
    }


def candidates(count: int) -> list[ValidInput]:
    """Return so many transactions as they come from the topic."""
    made = enumerate(raw for _, raw in paysim(count))
    positions = ((Position("transactions", 0, number), raw) for number, raw in made)
    return [ValidInput(PAYSIM.parser.parse(raw), Input(None, raw, at, at)) for at, raw in positions]
