"""How far a receiver was told of each partition: the committed offsets of a consumer group."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from fraudapp.kafka.offsets import ends, within_time
from fraudapp.operation import Operation, troubles
from fraudapp.retry import retry_forever
from fraudapp.webhooks.lanes import Lane

log = logging.getLogger(__name__)


class Positions:
    """Finds where to begin, and commits what is done."""

    def __init__(self, consumer: AIOKafkaConsumer, group: str) -> None:
        """`consumer` is a member of the group."""
        self._consumer = consumer
        self._committing = Operation(f"committing offsets of group {group}")
        self._finding: Final[dict[TopicPartition, Operation]] = {}

    def troubles(self) -> list[str]:
        """Return a sentence, with the reason, for each operation that fails."""
        return troubles([self._committing, *self._finding.values()])

    async def begin(self, tp: TopicPartition) -> int:
        """Return where to begin with a partition of this member.

        That is where the group has come to. The first time it is the end: history is not told. The
        end is committed at once, so that nothing after it is lost.
        """
        operation = Operation(f"finding where to begin with {tp.topic}/{tp.partition}")
        self._finding[tp] = operation
        try:
            async for attempt in retry_forever(operation):
                with attempt:
                    start = await self._begin(tp)
        finally:
            del self._finding[tp]
        return start

    async def _begin(self, tp: TopicPartition) -> int:
        end = (await ends(self._consumer, [tp]))[tp].high_water
        committed: int | None = await self._consumer.committed(tp)
        if committed is None:
            await self._put({tp: end})
            return end
        if committed > end:
            log.warning(
                "%s/%d ends at %d, and webhooks had come to %d: the log was cut; they go on at its "
                "end",
                *(tp.topic, tp.partition, end, committed),
            )
        return min(committed, end)

    async def commit(self, lanes: Collection[Lane]) -> None:
        """Commit what lanes of this member have done; failures are noted, not raised."""
        done = {lane: lane.done for lane in lanes if lane.done not in (None, lane.committed)}
        if not done:
            return
        try:
            await self._put(
                {lane.tp: offset for lane, offset in done.items() if offset is not None}
            )
        except KafkaError as exc:
            self._committing.failed(exc)
            return
        self._committing.succeeded()
        for lane, offset in done.items():
            lane.committed = offset

    async def _put(self, offsets: Mapping[TopicPartition, int]) -> None:
        await within_time(self._consumer.commit(offsets))
