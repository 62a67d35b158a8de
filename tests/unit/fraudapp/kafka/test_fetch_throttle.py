"""No delay at low load, and none longer than the longest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.fetch_throttle import (
    AVERAGING_SECONDS,
    FULL_DELAY_FROM_LOAD,
    THROTTLED_FROM_LOAD,
    FetchThrottle,
    throttled,
)

MAX_DELAY = 0.01
loads = st.floats(0.0, 1.0)


class Loop:
    """A fetch throttle, with the clocks of a simulated event loop."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0
        self.throttle = FetchThrottle(MAX_DELAY, clock=lambda: self.now, worked=lambda: self.worked)

    def spend(self, seconds: float, load: float, *, between: float = 0.005) -> float:
        """Fetch every `between` seconds at this load, and return the last delay."""
        delays = [self.throttle.delay()]
        for _ in range(max(1, round(seconds / between))):
            self.now += between
            self.worked += between * load
            delays.append(self.throttle.delay())
        assert all(0.0 <= each <= MAX_DELAY for each in delays)
        return delays[-1]


@pytest.mark.parametrize("load", [0.0, 0.3, THROTTLED_FROM_LOAD - 0.01])
def test_at_low_load_there_is_no_delay(load: float) -> None:
    assert Loop().spend(5.0, load) == 0.0


def test_a_loop_that_always_works_has_the_longest_delay() -> None:
    assert Loop().spend(20 * AVERAGING_SECONDS, 1.0) == MAX_DELAY


def test_a_short_peak_of_load_causes_no_delay() -> None:
    loop = Loop()
    loop.spend(2.0, 0.2)
    assert loop.spend(AVERAGING_SECONDS / 4, 1.0) == 0.0


def test_the_delay_ends_once_the_load_is_low_again() -> None:
    loop = Loop()
    loop.spend(5.0, 1.0)
    assert loop.spend(5.0, 0.2) == 0.0


def test_after_a_long_pause_only_the_load_of_the_pause_counts() -> None:
    loop = Loop()
    loop.spend(5.0, 1.0)
    assert loop.spend(60.0, 0.0, between=60.0) == 0.0


@given(less=loads, more=loads)
def test_a_higher_load_never_has_a_shorter_delay(less: float, more: float) -> None:
    less, more = sorted((less, more))
    assert Loop().spend(5.0, less) <= Loop().spend(5.0, more)


@given(st.floats(THROTTLED_FROM_LOAD, FULL_DELAY_FROM_LOAD))
def test_in_between_the_delay_is_proportional_to_the_load(load: float) -> None:
    share = (load - THROTTLED_FROM_LOAD) / (FULL_DELAY_FROM_LOAD - THROTTLED_FROM_LOAD)
    assert Loop().spend(5.0, load) == pytest.approx(MAX_DELAY * share, abs=MAX_DELAY / 100)


@given(st.lists(st.tuples(st.floats(0.0, 3.0), loads), max_size=30))
def test_at_any_load_the_delay_stays_within_its_bounds(phases: list[tuple[float, float]]) -> None:
    loop = Loop()
    for seconds, load in phases:
        loop.spend(seconds, load)


async def test_a_throttled_fetch_waits_and_is_then_sent_unchanged(
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
    throttled_fetch = throttled(fetch, loop.throttle)
    assert await throttled_fetch("at", "once")
    loop.spend(20 * AVERAGING_SECONDS, 1.0)
    assert await throttled_fetch("assignment", "node", "request")
    assert happened == [("at", "once"), MAX_DELAY, ("assignment", "node", "request")]
