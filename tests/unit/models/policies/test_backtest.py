"""A backtest counts each transaction once, and says of labels only what they show."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policies.comparison import MAX_PAIRS, Comparison
from models.policies.definition import PolicyFile, Rule
from models.policies.intervals import wilson
from models.policies.ruling import Ruled, Ruling
from models.records import Outcome
from models.schema.schema import PAYSIM

RULES = [
    Rule(id=each, when="amount > 0", then="flag", reason="x", owner="o") for each in ("a", "b", "c")
]
ROWS = st.tuples(
    st.sampled_from(Outcome),
    st.builds(
        Ruled,
        st.sampled_from(Outcome),
        st.sampled_from([(), (0,), (1,), (0, 1), (1, 2), (0, 1, 2)]),
        st.just(()),
    ),
    st.integers(0, 1_000),
    st.booleans(),
)


def comparison() -> Comparison:
    return Comparison(Ruling(PolicyFile(rules=RULES), PAYSIM))


@given(st.lists(st.lists(ROWS, max_size=9), max_size=4))
def test_batches_add_up_to_a_recount(
    batches: list[list[tuple[Outcome, Ruled, float, bool]]],
) -> None:
    made = comparison()
    for batch in batches:
        made.add(
            [was for was, *_ in batch],
            [now for _, now, *_ in batch],
            [amount for *_, amount, _ in batch],
            [fraud for *_, fraud in batch],
        )
    found, rows = made.result(), [row for batch in batches for row in batch]
    assert found.rows == len(rows)
    assert found.changed == sum(was is not now.outcome for was, now, *_ in rows)
    for was in Outcome:
        for now in Outcome:
            here = [row for row in rows if (row[0], row[1].outcome) == (was, now)]
            assert found.counts[was.value][now.value] == len(here)
            assert found.amounts[was.value][now.value] == sum(row[2] for row in here)
    for at, rule in enumerate(found.rules):
        hits = [row for row in rows if at in row[1].hits]
        assert (rule.hits, rule.only) == (len(hits), sum(row[1].hits == (at,) for row in hits))
        assert rule.frauds == sum(row[3] for row in hits)
        assert rule.amount == sum(row[2] for row in hits)
    together = {
        (RULES[one].id, RULES[other].id): sum({one, other} <= {*row[1].hits} for row in rows)
        for one, other in combinations(range(len(RULES)), 2)
    }
    assert {each.rules: each.hits for each in found.pairs} == {
        pair: hits for pair, hits in together.items() if hits
    }
    assert [each.hits for each in found.pairs] == sorted(
        (each.hits for each in found.pairs), reverse=True
    )
    frauds = sum(row[3] for row in rows)
    for each in Outcome if frauds else ():
        before, after = (found.stopped_frauds[when][each.value] for when in ("before", "after"))
        assert before == sum(row[3] for row in rows if row[0] is each)
        assert after == sum(row[3] for row in rows if row[1].outcome is each)
    assert set(found.quality) == ({"before", "after"} if frauds else set())
    assert found.frauds == (frauds or None)
    blocked = sum(row[1].outcome is Outcome.BLOCK for row in rows)
    assert (found.precision("after") is None) == (not frauds or not blocked)
    assert (found.recall("before") is None) == (not frauds)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (10, 10, 0.722, 1.0), (98, 100, 0.930, 0.994)],
)
def test_intervals_are_those_of_wilson(part: int, whole: int, low: float, high: float) -> None:
    share = wilson(part, whole)
    assert (round(share.low, 3), round(share.high, 3)) == (low, high)
    assert share.value == part / whole


def test_only_the_pairs_that_hit_together_most_often_are_told() -> None:
    rules = [
        Rule(id=f"r{number}", when="amount > 0", then="flag", reason="x", owner="o")
        for number in range(6)
    ]
    made = Comparison(Ruling(PolicyFile(rules=rules), PAYSIM))
    ruled = [Ruled(Outcome.FLAG, hits, ()) for hits in [(0, 1, 2, 3, 4, 5), (4, 5), (4, 5), (3, 5)]]
    made.add([Outcome.FLAG] * 4, ruled, [1.0] * 4, None)
    pairs = made.result().pairs
    assert len(pairs) == MAX_PAIRS
    assert [(each.rules, each.hits) for each in pairs[:3]] == [
        (("r4", "r5"), 3),
        (("r3", "r5"), 2),
        (("r0", "r1"), 1),
    ]


def test_rows_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="different transactions"):
        comparison().add([Outcome.FLAG], [], [1.0], None)
