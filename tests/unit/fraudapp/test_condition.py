"""A condition wakes its waiters to look, and lets only those go whose predicate is true."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from fraudapp.condition import Condition


async def settled() -> None:
    """Let every task run as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_predicate_that_is_true_already_is_not_waited_for() -> None:
    waiting = Condition().wait_for(lambda: True)
    with pytest.raises(StopIteration):  # it ends without giving way once
        waiting.send(None)


async def test_a_waiter_goes_on_once_its_predicate_is_true_and_it_is_notified() -> None:
    condition, state = Condition(), {0}
    waiting = {
        wanted: asyncio.ensure_future(condition.wait_for(partial(state.__contains__, wanted)))
        for wanted in (1, 2)
    }
    await settled()
    condition.notify()
    await settled()
    assert not any(each.done() for each in waiting.values())
    state.add(1)
    condition.notify()
    await settled()
    assert (waiting[1].done(), waiting[2].done()) == (True, False)
    state.add(2)
    condition.notify()
    await settled()
    assert waiting[2].done()


async def test_a_notice_before_the_wait_and_several_at_once_lose_nothing() -> None:
    condition = Condition()
    state: list[int] = []
    condition.notify()
    waiting = asyncio.ensure_future(condition.wait_for(lambda: len(state) == 3))
    await settled()
    for each in range(3):
        state.append(each)
        condition.notify()
    await settled()
    assert waiting.done()


async def test_a_waiter_that_is_cancelled_leaves_the_others_waiting() -> None:
    condition = Condition()
    state: list[int] = []
    gone, left = (asyncio.ensure_future(condition.wait_for(lambda: bool(state))) for _ in "ab")
    await settled()
    gone.cancel()
    await settled()
    assert (gone.cancelled(), left.done()) == (True, False)
    state.append(1)
    condition.notify()
    await settled()
    assert left.done()
