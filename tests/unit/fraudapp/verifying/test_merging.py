"""Partitions are merged by moment, however they are cut into chunks."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.verifying.merging import Chunks, merged


class Record(NamedTuple):
    """A record, and its place."""

    moment: float
    partition: int
    offset: int


moments = st.lists(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6), max_size=4)


class Partition:
    """Records in chunks, of which some are empty."""

    def __init__(self, number: int, chunks: list[list[int]]) -> None:
        rising = iter(sorted(each for chunk in chunks for each in chunk))
        offset = iter(range(1_000))
        self.chunks = [
            [Record(float(next(rising)), number, next(offset)) for _ in chunk] for chunk in chunks
        ]
        self.read = 0
        self.is_closed = False

    async def records(self) -> Chunks[Record]:
        try:
            for chunk in self.chunks:
                self.read += len(chunk)
                yield chunk
        finally:
            self.is_closed = True


async def collected(partitions: list[Partition]) -> list[Record]:
    found: list[Record] = []
    sources = [each.records() for each in partitions]
    async with aclosing(merged(sources, lambda each: each.moment)) as lists:
        async for some in lists:
            assert some
            found += some
    return found


@given(moments)
def test_records_come_by_moment_then_partition_then_offset(chunks: list[list[list[int]]]) -> None:
    partitions = [Partition(*each) for each in enumerate(chunks)]
    found = asyncio.run(collected(partitions))
    assert found == sorted(
        record for each in partitions for chunk in each.chunks for record in chunk
    )
    assert all(each.is_closed for each in partitions)


def test_a_partition_is_read_only_as_far_as_others_need_it() -> None:
    one = Partition(0, [[number] * 5 for number in range(100)])
    other = Partition(1, [[50] * 5, [99] * 5])

    async def first_lists() -> None:
        sources = [each.records() for each in (one, other)]
        async with aclosing(merged(sources, lambda each: each.moment)) as lists:
            async for some in lists:
                assert one.read <= 5 * (some[-1].moment + 3)
                if some[-1].moment >= 40:
                    break

    asyncio.run(first_lists())
    assert other.read == 5
    assert one.is_closed
    assert other.is_closed
