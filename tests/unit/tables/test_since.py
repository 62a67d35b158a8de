"""Heartbeats that a worker finds at its start may be older than a restored sink."""

from __future__ import annotations

from typing import NamedTuple

from tables.since import NewHeartbeats


class Report(NamedTuple):
    at: float
    worker: str = "one"
    stored: int = 7


def test_a_value_found_at_the_start_is_not_new_until_it_is_written_again() -> None:
    since = NewHeartbeats()
    found = {0: Report(1.0), 1: Report(1.0), 2: Report(1.0)}
    assert since.news(found) == {}
    assert since.news(found) == {}
    news = {1: Report(2.0, stored=3), 2: Report(1.0, "other"), 3: Report(0.5)}
    assert since.news({**found, **news}) == news


def test_a_value_missing_at_the_start_is_new() -> None:
    since = NewHeartbeats()
    assert since.news({}) == {}
    assert since.news({0: Report(1.0)}) == {0: Report(1.0)}
