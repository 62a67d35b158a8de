"""Of more decisions than memory should hold, an even sample is compared."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.backtests.period import Period
from fraudapp.comparing.gathering import Chosen, Gathered
from models.records import Decision, Outcome, Shadow
from models.schema.schema import PAYSIM
from tests.support.decisions import DECIDED_AT, decision

PERIOD = Period(DECIDED_AT, DECIDED_AT + timedelta(hours=1))


def made(number: int, minutes: float = 1.0, score: float = 0.875) -> Decision:
    return decision(
        f"t{number}",
        decided_at=DECIDED_AT + timedelta(minutes=minutes),
        score=score,
        shadow={"m2": Shadow(0.25, Outcome.APPROVE)},
    )


def gathered(decisions: list[Decision], max_rows: int, at_once: int = 10) -> Gathered:
    chosen = Chosen(PERIOD, timedelta(0), PERIOD.until, max_rows=max_rows)
    found = Gathered(PAYSIM, ("m1", "m2"), chosen, {})
    for at in range(0, len(decisions), at_once):
        found.add(decisions[at : at + at_once])
    return found


def test_the_first_decision_under_an_id_counts_even_if_it_is_not_of_the_period() -> None:
    found = gathered([made(1, -5), made(1), made(2), made(2, 2), made(3, 60)], 100, at_once=1)
    assert found.gathering.pairs().at.tolist() == [DECIDED_AT.timestamp() + 60]
    assert (found.read, found.sample.share) == (5, 1.0)


ALL = [made(number, number % 60, score=number / 1_000) for number in range(1_000)]


@given(st.integers(1, 1_200), st.integers(1, 400), st.booleans())
def test_rows_are_those_of_the_sample_and_none_is_left_out_within_the_limit(
    max_rows: int, at_once: int, twice: bool
) -> None:
    found = gathered(ALL + ALL[:300] if twice else ALL, max_rows, at_once)
    scores = found.gathering.pairs().scores[:, 0]
    assert len(scores) <= max_rows
    assert (found.sample.share == 1.0) == (max_rows >= len(ALL))
    if max_rows >= len(ALL):
        assert len(scores) == len(ALL)
    again = gathered(ALL[::-1], max_rows)
    assert np.array_equal(np.sort(scores), np.sort(again.gathering.pairs().scores[:, 0]))
    assert again.sample.share == found.sample.share
