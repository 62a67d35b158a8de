"""The write buffer is bounded, and first in is first out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.write_buffer import MAX_BYTES, MAX_DECISIONS, BufferedBatch, WriteBuffer
from tests.support.decisions import decision

ONE = decision("t")


def buffered(count: int, end: int = 0) -> BufferedBatch:
    return BufferedBatch(0, end, Batch([ONE] * count))


def decisions(batches: Iterable[BufferedBatch]) -> int:
    return sum(len(each.batch.decisions) for each in batches)


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("enqueue"), st.integers(1, MAX_DECISIONS + 1)),
            st.tuples(st.just("take"), st.integers(1, MAX_DECISIONS)),
            st.tuples(st.just("done"), st.just(0)),
            st.tuples(st.just("clear"), st.just(0)),
        )
    )
)
def test_the_write_buffer_never_holds_more_than_its_bounds(steps: list[tuple[str, int]]) -> None:
    buffer = WriteBuffer()
    waiting: list[BufferedBatch] = []
    saving: list[BufferedBatch] = []
    for end, (step, count) in enumerate(steps):
        if step == "enqueue":
            held = decisions([*waiting, *saving])
            fits = not (waiting or saving) or held + count <= MAX_DECISIONS
            assert buffer.enqueue(buffered(count, end)) == fits
            waiting += [buffered(count, end)] * fits
        elif step == "take":
            taken = list(buffer.take(count))
            assert [each.end for each in taken] == [each.end for each in waiting[: len(taken)]]
            assert decisions(taken) <= count or len(taken) == 1
            assert bool(taken) == bool(waiting)
            saving += taken
            del waiting[: len(taken)]
        elif step == "done":
            buffer.done(saving)
            saving = []
        else:
            buffer.clear()
            waiting = []
        assert len(buffer) == decisions(waiting)


async def test_waiting_for_capacity_ends_with_capacity_or_the_timeout() -> None:
    buffer = WriteBuffer()
    assert buffer.enqueue(buffered(MAX_DECISIONS))
    assert not buffer.enqueue(buffered(1))
    one = buffered(1).batch
    await buffer.wait_for_capacity(one, timeout=0.01)  # returns, though there is none
    assert not buffer.enqueue(buffered(1))
    waiting = asyncio.create_task(buffer.wait_for_capacity(one, timeout=3_600))
    buffer.done(buffer.take(MAX_DECISIONS))
    await waiting
    assert buffer.enqueue(buffered(1))


def test_the_write_buffer_is_bounded_in_bytes_too() -> None:
    buffer = WriteBuffer()
    large = [buffered(1, end) for end in range(20)]
    for each in large:
        each.batch.encoded = [b" " * (MAX_BYTES // 10)]
    assert [buffer.enqueue(each) for each in large] == [True] * 10 + [False] * 10
    buffer.done(buffer.take(4))
    assert [buffer.enqueue(each) for each in large[:5]] == [True] * 4 + [False]
    buffer.clear()
    larger = buffered(1)
    larger.batch.encoded = [b" " * (2 * MAX_BYTES)]
    assert buffer.enqueue(larger)
