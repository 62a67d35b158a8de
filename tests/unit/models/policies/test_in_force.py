"""What is in force decides by the entries and the caps of the moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.control.lists import Lists
from models.policies.definition import Listing, PolicyFile
from models.policies.in_force import InForce, of_thresholds
from models.policies.ruling import Begun, Ruling
from models.policy import Policy
from models.records import Outcome
from models.schema.schema import PAYSIM
from tests.support.transactions import transaction

NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
MULES = {"mules": Listing(field="nameDest", then="block", reason="Listed.", owner="o")}


def outcome(in_force: InForce, score: float = 0.1, now: datetime = NOON, flag: int = 0) -> Outcome:
    sent = transaction("t", nameDest="C2", isFlaggedFraud=flag)
    (found,) = in_force.rule([sent], [score], np.empty((1, 0), np.float32), now)
    return found.outcome


@given(st.floats(0, 1), st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted), st.booleans())
def test_thresholds_of_the_settings_decide_as_their_policy_and_are_named_by_it(
    score: float, thresholds: list[float], flag: bool
) -> None:
    policy = Policy(*thresholds)
    in_force = of_thresholds(policy, PAYSIM)
    assert in_force.version == policy.version
    assert outcome(in_force, score, flag=flag) is policy.decide(score, flagged_upstream=flag)


def test_entries_count_by_the_moment_of_the_decision() -> None:
    lists = Lists()
    lists.add("mules", "C2", NOON + HOUR, 0)
    in_force = InForce(Ruling(PolicyFile(lists=MULES), PAYSIM), "1+1", lists.at)
    for _ in range(2):  # forwards and backwards
        assert outcome(in_force, now=NOON) is Outcome.BLOCK
        assert outcome(in_force, now=NOON + HOUR) is Outcome.APPROVE


def test_caps_that_have_begun_count_and_keep_nothing_of_a_list_from_being_blocked() -> None:
    ruling, lists = Ruling(PolicyFile(lists=MULES), PAYSIM), Lists()
    in_force = InForce(ruling, "1+1", lists.at, Begun(on_all=True))
    assert outcome(in_force, score=0.9) is Outcome.FLAG
    lists.add("mules", "C2", None, 0)
    assert outcome(in_force, score=0.9) is Outcome.BLOCK
