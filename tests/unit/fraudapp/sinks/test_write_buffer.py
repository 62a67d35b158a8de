"""What waits for a sink is bounded, and comes out as it came in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.write_buffer import LARGEST, MOST, Handed, HandedQueue
from tests.unit.decisions import decision

ONE = decision("t")


def handed(count: int, end: int = 0) -> Handed:
    return Handed(0, end, Batch([ONE] * count))


def decisions(batches: Iterable[Handed]) -> int:
    return sum(len(each.batch.decisions) for each in batches)


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("offer"), st.integers(1, MOST + 1)),
            st.tuples(st.just("take"), st.integers(1, MOST)),
            st.tuples(st.just("done"), st.just(0)),
            st.tuples(st.just("clear"), st.just(0)),
        )
    )
)
def test_whatever_happens_it_holds_no_more_than_it_may(steps: list[tuple[str, int]]) -> None:
    queue = HandedQueue()
    waiting: list[Handed] = []
    saving: list[Handed] = []
    for number, (step, count) in enumerate(steps):
        if step == "offer":
            fits = not (waiting or saving) or decisions([*waiting, *saving]) + count <= MOST
            assert queue.offer(handed(count, number)) == fits
            waiting += [handed(count, number)] * fits
        elif step == "take":
            taken = list(queue.take(count))
            assert [each.end for each in taken] == [each.end for each in waiting[: len(taken)]]
            assert decisions(taken) <= count or len(taken) == 1
            assert bool(taken) == bool(waiting)
            saving += taken
            del waiting[: len(taken)]
        elif step == "done":
            queue.done(saving)
            saving = []
        else:
            queue.clear()
            waiting = []
        assert len(queue) == decisions(waiting)


async def test_who_waits_for_room_goes_on_when_there_is_some_or_patience_ends() -> None:
    queue = HandedQueue()
    assert queue.offer(handed(MOST))
    assert not queue.offer(handed(1))
    one = handed(1).batch
    await queue.room(one, patience=0.01)  # returns, though there is none
    assert not queue.offer(handed(1))
    waiting = asyncio.create_task(queue.room(one, patience=3_600))
    queue.done(queue.take(MOST))
    await waiting
    assert queue.offer(handed(1))


def test_large_decisions_are_bounded_by_their_size() -> None:
    queue = HandedQueue()
    large = [handed(1, end) for end in range(20)]
    for each in large:
        each.batch.encoded = [b" " * (LARGEST // 10)]
    assert [queue.offer(each) for each in large] == [True] * 10 + [False] * 10
    queue.done(queue.take(4))
    assert [queue.offer(each) for each in large[:5]] == [True] * 4 + [False]
    queue.clear()
    larger = handed(1)
    larger.batch.encoded = [b" " * (2 * LARGEST)]
    assert queue.offer(larger)
