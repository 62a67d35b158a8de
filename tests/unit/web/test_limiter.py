"""Each caller has a rate limit, and counting costs little, however many callers there are."""

from __future__ import annotations

import pytest

from fraudapp.config.rates import Rate, parse
from web.limiter import MAX_CALLERS, Limiter, whole_seconds


def test_a_caller_has_its_rate_in_each_window() -> None:
    limiter = Limiter([Rate(2, 60)])
    assert [limiter.hit("a", at) for at in (100.0, 130.0, 140.0)] == [0, 0, 20]
    assert limiter.hit("b", 140.0) == 0
    assert whole_seconds(limiter.wait("a", 159.5)) == 1
    assert [limiter.hit("a", at) for at in (160.0, 160.0, 161.0)] == [0, 0, 59]


def test_all_rates_apply_and_refused_requests_are_not_counted() -> None:
    limiter = Limiter([Rate(1, 1), Rate(3, 60)])
    assert [limiter.hit("a", at) for at in (0.0, 0.25, 0.5, 1.0, 2.0)] == [0, 0.75, 0.5, 0, 0]
    assert limiter.hit("a", 3.0) == 57


def test_without_a_rate_nobody_waits() -> None:
    assert Limiter([]).hit("a", 0.0) == 0


def test_any_number_of_callers_is_kept_in_bounded_memory_and_time() -> None:
    limiter = Limiter([Rate(1, 3_600)])
    for number in range(3 * MAX_CALLERS):
        assert limiter.hit(str(number), 0.0) == 0
    assert len(limiter) == MAX_CALLERS
    # Scanning all callers at each request would exceed the timeout of a test.
    assert limiter.hit(str(3 * MAX_CALLERS - 1), 1.0) == 3_599
    assert limiter.hit("late", 3_600.0) == 0
    assert len(limiter) == 1


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("100/second", [(100, 1)]),
        ("100 per 2 Minutes", [(100, 120)]),
        (
            "10/second;100/minute, 1000/hour|9999/day",
            [(10, 1), (100, 60), (1000, 3600), (9999, 86400)],
        ),
    ],
)
def test_rates_are_read(text: str, rates: list[tuple[int, int]]) -> None:
    assert parse(text) == rates
