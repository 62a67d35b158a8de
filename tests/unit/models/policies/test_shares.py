"""What caps count is what a recount of all decisions in the window finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.deciding import decide
from models.policies.definition import Caps, Listing, PolicyFile, Rule
from models.policies.in_force import InForce
from models.policies.ruling import CAPPED, Begun, Ruling
from models.policies.shares import (
    ALL,
    Counts,
    Window,
    above,
    certain_reasons,
    limits,
    tally,
    total,
)
from models.records import Decision, Outcome, Reason, Transaction
from models.schema.schema import PAYSIM
from tests.support.decisions import decision
from tests.support.transactions import candidate, transaction

NAMES = (ALL, "night", "large")
NOW = datetime(2026, 3, 4, tzinfo=timezone.utc)


class Certain:
    """A scorer that finds nothing wrong, and says what it says of everything."""

    version = "certain"
    columns = "of a test"

    def matrix(self, transactions: Sequence[Transaction]) -> Any:
        return np.zeros((len(transactions), 1), dtype=np.float32)

    def score_matrix(self, matrix: Any) -> NDArray[np.float64]:
        return np.zeros(len(matrix))

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        return [[Reason("LARGE", "It is large.", 1.0)] for _ in rows]


def rule(id_: str, **changes: Any) -> Rule:
    fields = {"id": id_, "when": "amount > 0", "then": "block", "reason": "So it is.", "owner": "o"}
    return Rule(**{**fields, **changes})


def decided(outcome: Outcome, *codes: str, hits: list[str] | None = None) -> Decision:
    reasons = [Reason(code, "It is.", 0.0) for code in codes]
    return decision(decision=outcome, reasons=reasons, hits=hits or [])


counts = st.builds(
    Counts, st.integers(0, 9), st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9))
)
plausible = st.builds(
    lambda hits, others: Counts(max(hits.values(), default=0) + others, hits),
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 100)),
    st.integers(0, 100),
)


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.floats(0, 3), counts)),
    st.floats(0, 9),
    st.floats(0, 1_000_000),
)
def test_a_window_has_what_was_counted_in_its_seconds(
    length: int, added: list[tuple[float, Counts]], wait: float, start: float
) -> None:
    window, now = Window(length), start
    all_: list[tuple[float, Counts]] = []
    for pause, each in added:
        now += pause
        window.add(each, now)
        all_.append((now, each))
        within = [one for at, one in all_ if floor(at) > floor(now) - length]
        assert window.counts(now) == _plain(total(within))
    now += wait
    within = [one for at, one in all_ if floor(at) > floor(now) - length]
    assert window.counts(now) == _plain(total(within))


def _plain(counts: Counts) -> Counts:
    return Counts(counts.decisions, {name: each for name, each in counts.hits.items() if each})


OUTCOMES = st.sampled_from(Outcome)
CODES = st.sampled_from(["LIST_MULES", "LIST_FRIENDS", "FLAGGED_UPSTREAM", "CAPPED", "DRAINED"])
decisions = st.lists(
    st.builds(
        lambda outcome, codes, hits: decided(outcome, *codes, hits=hits),
        OUTCOMES,
        st.lists(CODES, max_size=2, unique=True),
        st.lists(st.sampled_from(["night", "large", "other"]), unique=True),
    )
)


@given(decisions, st.sets(st.sampled_from(NAMES)))
def test_a_tally_is_a_recount_one_by_one(given_: list[Decision], names: set[str]) -> None:
    certain = {"LIST_MULES", "FLAGGED_UPSTREAM"}
    expected = Counter[str]()
    for each in given_:
        first = each.reasons[0].code if each.reasons else None
        blocked = each.decision is Outcome.BLOCK and first not in certain
        capped = each.decision is Outcome.FLAG and first == "CAPPED"
        expected.update([ALL] if blocked or capped else [])
        expected.update(each.hits)
    found = tally(given_, names, certain)
    assert found.decisions == len(given_)
    assert _plain(found).hits == {name: expected[name] for name in names if expected[name]}


def test_only_active_rules_that_block_have_caps() -> None:
    policy = PolicyFile(
        rules=[
            rule("first"),
            rule("own", max_share=0.5),
            rule("tried", mode="test"),
            rule("unused", mode="off"),
            rule("flags", then="flag"),
        ],
        caps=Caps(block_share=0.1, rule_share=0.2),
    )
    assert limits(policy) == {ALL: 0.1, "first": 0.2, "own": 0.5}
    assert limits(PolicyFile(rules=policy.rules)) == {"own": 0.5}
    assert limits(PolicyFile(rules=[rule("first")])) == {}


LISTED = PolicyFile(
    rules=[rule("all")],
    lists={
        "mules": Listing(field="nameDest", then="block", reason="A mule.", owner="o"),
    },
    caps=Caps(block_share=0.1, rule_share=0.2),
)


@pytest.mark.parametrize("begun", [Begun(), Begun(on_all=True)])
@pytest.mark.parametrize(
    ("fields", "is_counted"),
    [
        ({}, True),
        ({"nameDest": "C9"}, False),
        ({"isFlaggedFraud": 1}, False),
        ({"isFlaggedFraud": 1, "nameDest": "C9"}, False),
    ],
)
def test_what_a_list_or_the_sender_blocks_is_not_counted_for_the_cap_on_all(
    begun: Begun, fields: dict[str, Any], is_counted: bool
) -> None:
    lists = {"mules": frozenset({"C9"})}
    policy = InForce(Ruling(LISTED, PAYSIM), "1+0", lambda _: lists, begun)
    given_ = [candidate(transaction("t", **fields))]
    (found,) = decide(given_, scorer=Certain(), policy=policy, now=NOW)
    assert (found.reasons[0].code == CAPPED.code) is (is_counted and begun.on_all)
    counted = tally([found], limits(LISTED), certain_reasons(LISTED))
    assert counted == Counts(1, {ALL: int(is_counted), "all": 1})


def test_a_rule_in_test_because_of_its_cap_is_counted_on() -> None:
    policy = InForce(Ruling(LISTED, PAYSIM), "1+0", caps=Begun(rules=frozenset({"all"})))
    (found,) = decide([candidate(transaction("t"))], scorer=Certain(), policy=policy, now=NOW)
    assert found.decision is Outcome.APPROVE
    assert tally([found], limits(LISTED), certain_reasons(LISTED)) == Counts(1, {"all": 1, ALL: 0})


def test_a_share_is_above_its_limit_only_beyond_it() -> None:
    seen = Counts(10, {ALL: 5, "night": 6})
    assert above(seen, {ALL: 0.5, "night": 0.5, "large": 0.1}) == {"night"}
    assert above(Counts(), {ALL: 0.1}) == set()


@given(st.lists(plausible), st.floats(0.01, 1))
def test_the_share_of_all_workers_is_above_a_limit_only_if_that_of_one_is(
    parts: list[Counts], limit: float
) -> None:
    limits = dict.fromkeys(NAMES, limit)
    assert above(total(parts), limits) <= set().union(*(above(each, limits) for each in parts))
