"""A waiter is woken by its decision, and memory stays bounded."""

from __future__ import annotations

from fraudapp.decisions.waiters import DecisionWaiters
from tests.support.decisions import decision


async def test_everybody_who_waits_for_an_id_gets_its_decision() -> None:
    waiters = DecisionWaiters()
    with (
        waiters.subscribe("a") as one,
        waiters.subscribe("a") as other,
        waiters.subscribe("b") as stranger,
    ):
        waiters.notify([decision("a")])
        assert one.result() == other.result() == decision("a")
        assert not stranger.done()


async def test_nobody_waits_any_longer_once_it_is_closed() -> None:
    waiters = DecisionWaiters()
    with waiters.subscribe("a") as early:
        waiters.close()
        assert early.result() is None
    with waiters.subscribe("a") as late:
        assert late.result() is None


async def test_a_waiter_who_has_left_is_no_obstacle() -> None:
    waiters = DecisionWaiters()
    with waiters.subscribe("a") as left:
        left.cancel()
        waiters.notify([decision("a")])
    assert not waiters.is_awaited("a")
    assert not waiters.has_waiters()


async def test_the_first_decision_on_an_id_is_the_one_that_counts() -> None:
    waiters = DecisionWaiters()
    with waiters.subscribe("a") as waiter:
        waiters.notify([decision("a"), decision("a", score=0.1)])
        waiters.notify([decision("a", score=0.2)])
        assert waiter.result() == decision("a")


def test_only_the_latest_that_were_accepted_are_remembered() -> None:
    waiters = DecisionWaiters(max_accepted=2)
    waiters.accept(["x", "y"])
    waiters.accept(["x", "z"])
    assert [waiters.accepted(each) for each in "xyz"] == [True, False, True]
