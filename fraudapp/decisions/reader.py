"""Reads stretches of the decision log, and remembers for others how far they have come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, KafkaTimeoutError

from fraudapp.decisions.log_records import LogRecord, log_records
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.offsets import WITHIN, End, OpenTransaction, ends
from fraudapp.operation import BLIP
from fraudapp.settings import Settings
from models.parsing import Damaged

T = TypeVar("T")

log = logging.getLogger(__name__)

POLL_MS: Final = 200
"""Longest wait for records that are there."""
AT_ONCE: Final = 1_000
"""Records handed out at once, at most."""


async def _answered(asked: Awaitable[T]) -> T:
    """Wait for what aiokafka may try without end, in silence; but not for as long."""
    try:
        return await asyncio.wait_for(asked, WITHIN)
    except asyncio.TimeoutError:
        raise KafkaTimeoutError(f"no answer within {WITHIN:g} s") from None


class LogCut(KafkaError):  # type: ignore[misc]
    """The log ends before what was to be read: it has become another one."""


class LogDamaged(KafkaError):  # type: ignore[misc]
    """A record of the log is not as its checksum says: who passed it would decide anew."""


class LogReader:
    """A consumer that belongs to no group of others; every method raises `KafkaError`."""

    def __init__(self, settings: Settings, group: str | None = None, **options: Any) -> None:
        """`group` is whose progress `committed` and `commit` tell; `options` are aiokafka's."""
        self._topic = settings.decisions_topic
        self._partitions = settings.topic_partitions
        self._turn = asyncio.Lock()
        self._reached: dict[int, int] = {}  # offset at which reading a partition has ended
        self._consumer = new_consumer(
            settings,
            group,
            fetch_max_wait_ms=min(POLL_MS, int(settings.broker_fetch_wait * 1_000)),
            **options,
        )

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def end(self, number: int) -> int:
        """Return the offset which the next record of a partition will get."""
        return (await self.ends([number]))[number].high_water

    async def ends(self, numbers: Iterable[int]) -> dict[int, End]:
        """Return where partitions end."""
        found = await ends(self._consumer, map(self._partition, numbers))
        return {partition.partition: end for partition, end in found.items()}

    def has_leader(self, number: int) -> bool:
        """Whether a partition has a leader, as far as was heard."""
        leader = self._consumer._client.cluster.leader_for_partition(self._partition(number))
        return leader is not None and leader >= 0

    async def begin(self, number: int) -> int:
        """Return the offset of the first record that a partition still has."""
        partition = self._partition(number)
        found = await _answered(self._consumer.beginning_offsets([partition]))
        return int(found[partition])

    async def record_at(self, number: int, offset: int) -> LogRecord | None:
        """Return the decision of ours at this very offset, before the end; None if there is none.

        Raises what `read` does.
        """
        found = [
            each async for records in self.read(number, offset, offset + 1) for each in records
        ]
        return found[0] if found else None

    async def committed(self, numbers: Sequence[int]) -> dict[int, int | None]:
        """Assign partitions, and return up to which offset each is done with; None if unknown."""
        async with self._turn:
            partitions = [self._partition(number) for number in numbers]
            self._assign(partitions)
            self._consumer.pause(*partitions)
            return {
                number: await _answered(self._consumer.committed(partition))
                for number, partition in zip(numbers, partitions, strict=True)
            }

    async def commit(self, progress: Mapping[int, int]) -> None:
        """Note up to which offset assigned partitions are done with."""
        offsets = {self._partition(number): offset for number, offset in progress.items()}
        await _answered(self._consumer.commit(offsets))

    async def read(self, number: int, start: int, end: int) -> AsyncIterator[list[LogRecord]]:
        """Yield the records from offset `start` up to, not including, `end`, in their order.

        What is no decision of ours is left out, see `log_records`. Raises `OpenTransaction` if
        there are records before `end` that cannot be read yet, `LogCut` if there never will be,
        `LogDamaged` if there is one that cannot be read, after all that are before it.
        """
        partition = self._partition(number)
        async with self._turn:
            if partition not in self._consumer.assignment():
                self._assign([partition])
            # What a fetch has brought is dropped by a seek; with it goes a cycle of objects, which
            # holds a megabyte until the garbage collector comes by (500 MB were seen).
            if self._reached.pop(number, None) != start:
                self._consumer.seek(partition, start)
            self._consumer.resume(partition)
            try:
                while (reached := await _answered(self._consumer.position(partition))) < end:
                    fetched = await self._consumer.getmany(
                        partition, timeout_ms=POLL_MS, max_records=min(AT_ONCE, end - reached)
                    )
                    if not fetched:
                        await self._check_end(partition, end)
                    # Where the log has lost what it had at `start`, a fetch begins elsewhere.
                    raw = [e for e in fetched.get(partition, ()) if start <= e.offset < end]
                    sound = list(takewhile(lambda e: type(e.value) is not Damaged, raw))
                    if records := log_records(sound, self._partitions):
                        yield records
                    if len(sound) < len(raw):
                        raise LogDamaged(
                            f"{partition.topic}/{partition.partition}/{raw[len(sound)].offset} is "
                            "damaged in the broker's log"
                        )
                self._reached[number] = reached
            finally:
                self._consumer.pause(partition)

    async def _check_end(self, partition: TopicPartition, end: int) -> None:
        # Not for longer: others wait for their turn.
        high_water, stable = (await ends(self._consumer, [partition], BLIP))[partition]
        if high_water < end:
            raise LogCut(
                f"{partition.topic}/{partition.partition} ends at {high_water}, where it had "
                f"records up to {end}"
            )
        if stable < end and await self._consumer.position(partition) >= stable:
            raise OpenTransaction(partition, stable)

    def _assign(self, partitions: list[TopicPartition]) -> None:
        self._reached.clear()
        self._consumer.assign(partitions)

    def _partition(self, number: int) -> TopicPartition:
        return TopicPartition(self._topic, number)
