"""What a decision log promises to the pipeline.

A module of tests provides the fixture `logs`: two decision logs of one topic with four partitions,
each with indexes of its own, as those of two workers. Nothing is in the topic at first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.process.disk import DiskFull
from tests.support.decisions import decision, id_in_partition

PARTITIONS: Final = 4
X, Y, Z = (id_in_partition(0, count, PARTITIONS) for count in range(3))
ELSEWHERE: Final = id_in_partition(1, 0, PARTITIONS)


class Log(Protocol):
    """What the pipeline asks of a decision log."""

    def index(self, partition: int, /) -> DecisionIndex | None: ...
    def is_ready(self, partition: int, /, generation: int) -> bool: ...
    async def ready(self, partition: int, /, generation: int) -> DecisionIndex: ...
    async def append(self, partition: int, /, batch: Batch, next_offset: int) -> bool: ...
    def repair(self, exc: IndexDamaged | DiskFull, /) -> None: ...


def scores(index: DecisionIndex, *ids: str) -> dict[str, float]:
    return {found: each.score for found, each in index.find(ids).items()}


class DecisionLogContract:
    """Tests of any decision log."""

    async def test_an_index_is_there_once_it_is_ready_in_a_generation(
        self, logs: Sequence[Log]
    ) -> None:
        log = logs[0]
        assert log.index(0) is None
        assert not log.is_ready(0, generation=1)
        index = await log.ready(0, generation=1)
        assert log.index(0) is index
        assert log.is_ready(0, generation=1)
        assert not log.is_ready(0, generation=2)
        assert log.index(1) is None
        assert index.next_offset == 0
        assert await log.ready(0, generation=2) is index
        assert not log.is_ready(0, generation=1)

    async def test_what_is_appended_is_in_the_index_and_in_that_of_the_next_owner(
        self, logs: Sequence[Log]
    ) -> None:
        ours, theirs = logs
        index, elsewhere = [await ours.ready(each, generation=1) for each in (0, 1)]
        new = [decision(each, offset=offset) for offset, each in enumerate((X, Y))]
        assert await ours.append(0, Batch(new), 0)
        assert await ours.append(0, Batch([decision(Z)]), 2)
        assert await ours.append(1, Batch([decision(ELSEWHERE)]), 0)
        for each in (index, await theirs.ready(0, generation=2)):
            assert each.next_offset == 3
            assert each.find([X, Y]) == {X: new[0], Y: new[1]}
            assert list(each.find([Z, ELSEWHERE])) == [Z]
            assert each.counts == {"BLOCK": 3}
        assert list(elsewhere.find([X, ELSEWHERE])) == [ELSEWHERE]

    async def test_a_new_generation_has_what_others_wrote_before_it(
        self, logs: Sequence[Log]
    ) -> None:
        ours, theirs = logs
        index = await ours.ready(0, generation=1)
        await theirs.ready(0, generation=2)
        assert await theirs.append(0, Batch([decision(X)]), 0)
        assert await ours.ready(0, generation=1) is index
        assert index.next_offset == 0
        assert await ours.ready(0, generation=3) is index
        assert list(index.find([X])) == [X]

    async def test_nothing_is_appended_to_what_was_never_read_in(self, logs: Sequence[Log]) -> None:
        ours, theirs = logs
        assert not await ours.append(0, Batch([decision(X)]), 0)
        assert (await theirs.ready(0, generation=1)).next_offset == 0

    async def test_nothing_is_appended_if_the_index_has_moved_since_it_was_asked(
        self, logs: Sequence[Log]
    ) -> None:
        ours, theirs = logs
        index = await ours.ready(0, generation=1)
        await theirs.ready(0, generation=2)
        assert await theirs.append(0, Batch([decision(X, score=0.1)]), 0)
        await ours.ready(0, generation=3)  # a rebalance, while what was decided here waits
        assert not await ours.append(0, Batch([decision(X, score=0.9)]), 0)
        assert index.next_offset == 1
        assert scores(index, X) == {X: 0.1}
        assert await ours.append(0, Batch([decision(Y)]), 1)

    async def test_what_another_writer_has_appended_in_between_comes_first(
        self, logs: Sequence[Log]
    ) -> None:
        ours, theirs = logs
        index = await ours.ready(0, generation=1)
        await theirs.ready(0, generation=2)
        assert await theirs.append(0, Batch([decision(X, score=0.1)]), 0)
        assert not await ours.append(0, Batch([decision(each, score=0.9) for each in (X, Y)]), 0)
        assert ours.is_ready(0, generation=1)
        assert index.next_offset == 3
        assert scores(index, X, Y) == {X: 0.1, Y: 0.9}
        assert index.counts == {"BLOCK": 2}
        assert await ours.append(0, Batch([decision(Z)]), 3)

    async def test_all_who_wait_for_a_partition_get_the_same_index(
        self, logs: Sequence[Log]
    ) -> None:
        log = logs[0]
        found = await asyncio.gather(*(log.ready(0, generation=1) for _ in range(3)))
        assert {id(each) for each in found} == {id(log.index(0))}

    async def test_a_damaged_index_is_made_anew_from_the_log(self, logs: Sequence[Log]) -> None:
        log = logs[0]
        damaged, sound = [await log.ready(each, generation=1) for each in (0, 1)]
        assert await log.append(0, Batch([decision(X)]), 0)
        failure = IndexDamaged(damaged, "of a test")
        log.repair(failure)
        assert log.index(0) is None
        assert not log.is_ready(0, generation=1)
        assert log.index(1) is sound
        made = await log.ready(0, generation=1)
        assert made is not damaged
        assert list(made.find([X])) == [X]
        log.repair(failure)  # by somebody else who has found out
        assert log.index(0) is made
        assert await log.append(0, Batch([decision(Y)]), made.next_offset)

    async def test_an_index_whose_disk_was_full_is_read_in_again(self, logs: Sequence[Log]) -> None:
        ours, theirs = logs
        index = await ours.ready(0, generation=1)
        await theirs.ready(0, generation=2)
        assert await theirs.append(0, Batch([decision(X)]), 0)
        ours.repair(DiskFull(index.folder.with_name("another"), "No space left on device"))
        assert ours.is_ready(0, generation=1)
        ours.repair(DiskFull(index.folder, "No space left on device"))
        assert ours.index(0) is None
        assert not ours.is_ready(0, generation=1)
        assert await ours.ready(0, generation=1) is index
        assert list(index.find([X])) == [X]
