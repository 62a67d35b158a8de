"""Of the counts that heartbeats tell, the last ones of each other worker count."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from models.activity import Activity
from models.policies.shares import Counts
from tables.heartbeats import Heartbeat, for_caps


def heartbeat(
    worker: str, version: str, counts: Counts | UnsetType = UNSET, *, at: float = 0.0
) -> Heartbeat:
    """A heartbeat with nothing else in it."""
    return Heartbeat(
        worker=worker,
        at=at,
        cursor=0,
        high_water=None,
        latency={},
        stores={},
        model_version="m1",
        policy_version=version,
        activity=Activity(),
        for_caps=counts,
    )


def test_the_last_counts_of_each_other_worker_are_returned() -> None:
    told = [
        heartbeat("a", "3+17", Counts(1), at=2.0),
        heartbeat("a", "3+18", Counts(2), at=4.0),
        heartbeat("a", "3+17", Counts(3), at=3.0),
        heartbeat("b", "3+17", Counts(4, {"": 1})),
        heartbeat("me", "3+17", Counts(5)),
    ]
    assert for_caps(told, "3+17", but="me") == [Counts(2), Counts(4, {"": 1})]


def test_counts_of_another_policy_are_left_out() -> None:
    told = [
        heartbeat("a", "2+17", Counts(1)),
        heartbeat("b", "score>=0.8", UNSET),
        heartbeat("c", "3+17", Counts(2), at=1.0),
        heartbeat("c", "4+17", Counts(3), at=2.0),
    ]
    assert for_caps(told, "3+17", but="me") == []


def test_a_heartbeat_without_counts_is_written_as_before() -> None:
    told = msgspec.to_builtins(heartbeat("a", "3+17"), str_keys=True)
    assert "for_caps" not in told
    assert msgspec.convert(told, Heartbeat, str_keys=True) == heartbeat("a", "3+17")
