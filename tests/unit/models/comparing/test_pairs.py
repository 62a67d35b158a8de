"""Both models are compared on the same transactions, by what labels are known to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.comparing.pairs import UNKNOWN, Gathering, Pairs
from models.comparing.sampling import halvings
from models.policies.exploring import EXPLORED
from models.policies.ruling import CAPPED
from models.records import Decision, Outcome, Reason, Shadow
from models.schema.schema import PAYSIM
from tests.support.decisions import DECIDED_AT, decision
from tests.support.transactions import transaction

BLOCK, FLAG, APPROVE = Outcome.BLOCK, Outcome.FLAG, Outcome.APPROVE
SAYS = {"m2": Shadow(0.25, APPROVE)}
LATER = DECIDED_AT + timedelta(seconds=1)


def made(id_: str = "t1", **changes: Any) -> Decision:
    fraud = changes.pop("fraud", 0)
    sent = transaction(id_, amount=7.0, isFraud=fraud)
    return decision(id_, **{"transaction": sent, "shadow": SAYS, **changes})


def taken(gathering: Gathering, *decisions: Decision, told: dict[str, int] | None = None) -> None:
    outlived = halvings([each.transaction_id for each in decisions]).tolist()
    gathering.add(decisions, told or {}, outlived)


def gathered(*decisions: Decision, told: dict[str, int] | None = None) -> Pairs:
    gathering = Gathering("m1", "m2", PAYSIM, DECIDED_AT)
    for each in decisions:
        taken(gathering, each, told=told)
    return gathering.pairs()


def test_a_row_has_what_both_say() -> None:
    found = gathered(made("a", score=0.9, decision=BLOCK))
    assert found.scores.tolist() == [[0.9, 0.25]]
    assert found.outcomes.tolist() == [[2, 0]]
    assert (found.amounts.tolist(), found.at.tolist()) == ([7.0], [DECIDED_AT.timestamp()])


def test_it_does_not_matter_which_one_decided() -> None:
    shadow = {"m1": Shadow(0.9, BLOCK), "m2": Shadow(0.25, APPROVE)}
    decided = made("a", model_version="m2", score=0.25, decision=APPROVE, shadow=shadow)
    neither = made("b", model_version="m3", shadow=shadow)
    assert gathered(decided, neither).scores.tolist() == [[0.9, 0.25]] * 2
    assert gathered(decided, neither).outcomes.tolist() == [[2, 0]] * 2


def test_rows_without_a_score_of_both_are_left_out_and_counted() -> None:
    gathering = Gathering("m1", "m2", PAYSIM, DECIDED_AT)
    other = made("c", schema_version="cards-1")
    taken(gathering, made("a", shadow={}), made("b", shadow={}, model_version="m3"), other)
    assert (gathering.lacking, gathering.of_other_schemas) == (1, 1)
    assert gathering.pairs().scores.shape == (0, 2)


@pytest.mark.parametrize("reason", [CAPPED, EXPLORED])
def test_a_block_that_was_let_through_is_compared_as_a_block(reason: Reason) -> None:
    let_through = made(decision=FLAG, reasons=[reason])
    assert gathered(let_through).outcomes.tolist() == [[2, 0]]
    flagged = made(decision=FLAG, reasons=[Reason("RULE_X", "", 0.0), reason])
    assert gathered(flagged).outcomes.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("changes", "told", "expected"),
    [
        ({"decision": APPROVE}, None, 0),
        ({"decision": APPROVE}, 1, 1),
        ({"decision": APPROVE, "fraud": 1}, None, 1),
        ({"decision": APPROVE, "fraud": 1}, 0, 0),
        ({"decision": BLOCK}, None, UNKNOWN),
        ({"decision": BLOCK}, 0, 0),
        ({"decision": BLOCK, "fraud": 1}, None, 1),
        ({"decision": APPROVE, "decided_at": LATER}, 1, UNKNOWN),
    ],
)
def test_what_a_row_was(changes: dict[str, Any], told: int | None, expected: int) -> None:
    labels = {} if told is None else {"t1": told}
    assert gathered(made(**changes), told=labels).labels.tolist() == [expected]


def test_the_control_group_stands_for_the_blocks_of_its_policy() -> None:
    explored = made("a", decision=FLAG, reasons=[EXPLORED], explored=0.1, policy_version="4+1")
    blocked = made("b", policy_version="4+9")
    by_rule = made("c", policy_version="4+9", hits=["r"], reasons=[Reason("RULE_R", "", 0.0)])
    of_other = made("d", policy_version="5+9")
    listed = made("e", policy_version="4+9", reasons=[Reason("LIST_MULES", "", 0.0)])
    in_test = made("f", policy_version="4+9", hits=["t"], reasons=[Reason("AMOUNT", "", 1.5)])
    told = dict.fromkeys("abcdef", 1)
    found = gathered(explored, blocked, by_rule, of_other, listed, in_test, told=told)
    assert found.labels.tolist() == [1, UNKNOWN, 1, 1, 1, UNKNOWN]
    assert np.allclose(found.weights, [10, 1, 1, 1, 1, 1])


def test_blocks_that_nobody_has_labelled_are_counted() -> None:
    gathering = Gathering("m1", "m2", PAYSIM, DECIDED_AT)
    late, listed = made("c", decided_at=LATER), made("d", reasons=[Reason("LIST_MULES", "", 0.0)])
    approved = made("e", decision=APPROVE)
    taken(gathering, made("a"), made("b"), late, listed, approved, told={"b": 1})
    gathering.pairs()
    assert gathering.blocked == (2, 1)


def test_rows_are_in_the_order_of_time_and_equal_times_in_that_of_coming() -> None:
    times = [DECIDED_AT - timedelta(seconds=each) for each in (1, 3, 2, 3)]
    found = gathered(
        *(made(str(at), score=at / 8, decided_at=time) for at, time in enumerate(times))
    )
    assert (found.scores[:, 0] * 8).tolist() == [1, 3, 2, 0]


ROWS = [
    made(
        f"t{at}",
        model_version=("m1", "m1", "m3")[at % 3],
        schema_version="other" if at % 7 == 0 else "",
        score=at / 500,
        decided_at=DECIDED_AT - timedelta(seconds=at * 37 % 101),
        policy_version=f"{at % 5}+1",
        **(
            {"decision": FLAG, "reasons": [EXPLORED], "explored": 0.25}
            if at % 11 == 0
            else {"decision": (BLOCK, APPROVE)[at % 2]}
        ),
    )
    for at in range(500)
]


@given(st.integers(0, 5), st.integers(0, 500))
def test_half_of_the_rows_are_as_if_there_had_been_no_others(times: int, at: int) -> None:
    """Wherever in the reading the sample is halved, what it counts is that of the sample."""
    halved = Gathering("m1", "m2", PAYSIM, DECIDED_AT)
    taken(halved, *ROWS[:at])
    halved.halve(times)
    outlived = halvings([each.transaction_id for each in ROWS]).tolist()
    kept = [each for each, times_ in zip(ROWS, outlived, strict=True) if times_ >= times]
    taken(halved, *(each for each in ROWS[at:] if each in kept))
    alone = Gathering("m1", "m2", PAYSIM, DECIDED_AT)
    taken(alone, *kept)
    found, wanted = halved.pairs(), alone.pairs()
    for name in Pairs._fields:
        assert np.array_equal(getattr(found, name), getattr(wanted, name))
    for name in ("lacking", "of_other_schemas", "blocked"):
        assert getattr(halved, name) == getattr(alone, name)
