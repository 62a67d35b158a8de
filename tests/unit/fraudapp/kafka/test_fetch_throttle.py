"""No rest while there is time to spare, and none longer than it may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.fetch_throttle import BUSY, FULL, MEMORY, FetchThrottle, throttled

LONGEST = 0.01
shares = st.floats(0.0, 1.0)


class Loop:
    """A clock, and how much of its time the event loop was at work."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0
        self.rest = FetchThrottle(LONGEST, clock=lambda: self.now, worked=lambda: self.worked)

    def spend(self, seconds: float, share: float, *, between: float = 0.005) -> float:
        rests = [self.rest.seconds()]
        for _ in range(max(1, round(seconds / between))):
            self.now += between
            self.worked += between * share
            rests.append(self.rest.seconds())
        assert all(0.0 <= each <= LONGEST for each in rests)
        return rests[-1]


@pytest.mark.parametrize("share", [0.0, 0.3, BUSY - 0.01])
def test_with_time_to_spare_there_is_no_rest(share: float) -> None:
    assert Loop().spend(5.0, share) == 0.0


def test_a_loop_that_is_always_at_work_rests_as_long_as_it_may() -> None:
    assert Loop().spend(20 * MEMORY, 1.0) == LONGEST


def test_a_moment_of_work_is_no_reason_to_rest() -> None:
    loop = Loop()
    loop.spend(2.0, 0.2)
    assert loop.spend(MEMORY / 4, 1.0) == 0.0


def test_the_rest_ends_once_there_is_time_again() -> None:
    loop = Loop()
    loop.spend(5.0, 1.0)
    assert loop.spend(5.0, 0.2) == 0.0


def test_after_a_long_silence_only_the_silence_counts() -> None:
    loop = Loop()
    loop.spend(5.0, 1.0)
    assert loop.spend(60.0, 0.0, between=60.0) == 0.0


@given(less=shares, more=shares)
def test_the_busier_the_longer(less: float, more: float) -> None:
    less, more = sorted((less, more))
    assert Loop().spend(5.0, less) <= Loop().spend(5.0, more)


@given(st.floats(BUSY, FULL))
def test_in_between_it_grows_in_proportion(share: float) -> None:
    expected = LONGEST * (share - BUSY) / (FULL - BUSY)
    assert Loop().spend(5.0, share) == pytest.approx(expected, abs=LONGEST / 100)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), shares), max_size=30))
def test_whatever_happens_it_stays_within_its_bounds(phases: list[tuple[float, float]]) -> None:
    loop = Loop()
    for seconds, share in phases:
        loop.spend(seconds, share)


async def test_a_fetch_rests_before_it_is_sent_and_is_then_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def sleep(seconds: float) -> None:
        happened.append(seconds)

    async def fetch(*args: str) -> bool:
        happened.append(args)
        return True

    happened: list[object] = []
    monkeypatch.setattr("fraudapp.kafka.fetch_throttle.asyncio.sleep", sleep)
    loop = Loop()
    rested_fetch = throttled(fetch, loop.rest)
    assert await rested_fetch("at", "once")
    loop.spend(20 * MEMORY, 1.0)
    assert await rested_fetch("assignment", "node", "request")
    assert happened == [("at", "once"), LONGEST, ("assignment", "node", "request")]
