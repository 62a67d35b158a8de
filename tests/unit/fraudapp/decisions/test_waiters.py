"""Whoever waits is woken by the decision, and memory stays bounded."""

from __future__ import annotations

from fraudapp.decisions.waiters import Waiting
from tests.unit.decisions import decision


async def test_everybody_who_waits_for_an_id_gets_its_decision() -> None:
    waiting = Waiting()
    with (
        waiting.expecting("a") as one,
        waiting.expecting("a") as other,
        waiting.expecting("b") as stranger,
    ):
        waiting.wake([decision("a")])
        assert one.result() == other.result() == decision("a")
        assert not stranger.done()


async def test_nobody_waits_any_longer_once_it_is_closed() -> None:
    waiting = Waiting()
    with waiting.expecting("a") as early:
        waiting.close()
        assert early.result() is None
    with waiting.expecting("a") as late:
        assert late.result() is None


async def test_a_waiter_who_has_gone_is_no_obstacle() -> None:
    waiting = Waiting()
    with waiting.expecting("a") as gone:
        gone.cancel()
        waiting.wake([decision("a")])
    assert not waiting.expects("a")
    assert not waiting.anybody()


async def test_the_first_decision_on_an_id_is_the_one_that_counts() -> None:
    waiting = Waiting()
    with waiting.expecting("a") as waiter:
        waiting.wake([decision("a"), decision("a", score=0.1)])
        waiting.wake([decision("a", score=0.2)])
        assert waiter.result() == decision("a")


def test_only_the_latest_that_were_accepted_are_remembered() -> None:
    waiting = Waiting(remembered=2)
    waiting.accept(["x", "y"])
    waiting.accept(["x", "z"])
    assert [waiting.accepted(each) for each in "xyz"] == [True, False, True]
