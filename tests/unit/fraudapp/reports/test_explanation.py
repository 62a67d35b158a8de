"""An explanation is told as a table whose numbers add up."""

from __future__ import annotations

from typing import Any

import msgspec

from fraudapp.reports.explanation import as_text
from models.explanation import Base, ByPolicy, Explanation, Hit, Recomputed
from models.records import Outcome, Reason
from models.schema.reasons import Weighed

POLICY = ByPolicy("3+12", 0.5, 0.8, flagged_upstream=False, reasons=[], hits=[], explored=0.0)
TOLD = Explanation(
    transaction_id="t-1",
    decision=Outcome.FLAG,
    score=0.6225,
    model_version="logistic-1",
    log_odds=0.5,
    base=Base(-4.0, 0.018),
    raising=[
        Weighed("DRAINED", "99 % of the balance leaves.", 5.0, {"amount": 18_000.5, "type": "X"}),
        Weighed("NEW", "It is the first payment.", 0.25, {"profile_paid": None}),
    ],
    lowering=[Weighed("AMOUNT", "It is little.", -0.75, {})],
    recomputed=Recomputed(0.6225, is_same=True, note=""),
    policy=POLICY,
)


def lines(**changes: Any) -> list[str]:
    return as_text(msgspec.structs.replace(TOLD, **changes)).splitlines()


def test_it_goes_from_the_base_to_the_sum() -> None:
    assert lines() == [
        "t-1: FLAG, score 0.6225, by model logistic-1 and policy 3+12",
        "",
        "                                                  log-odds",
        "Before anything is known, a probability of 0.018     -4.00",
        "Raises the risk",
        "  99 % of the balance leaves.                        +5.00",
        "    amount 18,000.5 · type X",
        "  It is the first payment.                           +0.25",
        "    profile_paid unknown",
        "Lowers the risk",
        "  It is little.                                      -0.75",
        "Together, a score of 0.6225                          +0.50",
        "",
        "Flagged from 0.5 on, blocked from 0.8 on.",
    ]


def test_where_nothing_speaks_for_or_against_it_there_is_no_title() -> None:
    assert "Raises the risk" not in lines(raising=[])
    assert "Lowers the risk" not in lines(lowering=[])


def test_a_score_of_next_to_nothing_is_not_told_as_none() -> None:
    told = lines(score=8.668e-9)
    assert told[0].startswith("t-1: FLAG, score 8.7e-09, by")
    assert told[-3].startswith("Together, a score of 8.7e-09 ")


def test_what_the_policy_and_the_sender_did_is_told() -> None:
    policy = msgspec.structs.replace(
        POLICY,
        flagged_upstream=True,
        reasons=[Reason("LISTED", "A mule.", 0.0)],
        hits=[
            Hit("large", "flag", "test"),
            Hit("old", None, None),
            Hit("night", "block", "active"),
        ],
        explored=0.001,
    )
    assert lines(policy=policy)[-6:] == [
        "The sender's own rule has flagged it, which blocks whatever the score.",
        "One of the 0.1 % of the model's blocks that are let through.",
        "LISTED: A mule.",
        "Rule large hit: flag, in test.",
        "Rule old hit.",
        "Rule night hit: block.",
    ]


def test_what_is_not_known_any_more_or_is_another_score_is_told() -> None:
    unknown = msgspec.structs.replace(POLICY, flag_at=None, block_at=None)
    other = Recomputed(0.7, is_same=False, note="The schema has others now.")
    assert lines(policy=unknown, recomputed=other)[-2:] == [
        "Computed again, the score is 0.7000. The schema has others now.",
        "Policy 3+12 is not known here any more.",
    ]


def test_text_of_others_cannot_command_a_terminal() -> None:
    evil = Weighed("A", "\x1b[2J", 1.0, {"na\nme": "\x1b[31m"})
    text = as_text(msgspec.structs.replace(TOLD, transaction_id="\x1b]0;x", raising=[evil]))
    assert "\x1b" not in text
    assert "na\nme" not in text
