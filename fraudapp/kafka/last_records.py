"""The last record that was read of a partition, which tells whether it is still the same topic.

A broker that was restored, or that elected an unclean leader, may have lost the end of a topic.
Other records may have got the same offsets since. The offset alone does not show this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import LeaderNotAvailableError, OffsetOutOfRangeError
from aiokafka.protocol.fetch import FetchRequest
from msgspec import Struct

from fraudapp.kafka.offsets import (
    MAX_WAIT_MS,
    READ_COMMITTED,
    answered,
    ends,
    load_metadata,
    within_time,
)
from fraudapp.kafka.wire_format import MAX_FETCHES_OF_DAMAGED, FetchedBatches, TolerantRecords
from models.parsing import Unread

DIGEST_BYTES: Final = 8
CHECK_SECONDS: Final = 60.0
"""Seconds after which whoever follows a topic asks again whether it is the same.

A client that was not connected meanwhile goes on in what has grown in place of what was lost.
"""
_FETCH_BYTES: Final = 1
"""A broker returns one batch at least, however large it is."""


class LastRecord(Struct, frozen=True, array_like=True):
    """Offset of a record, and digest of its value."""

    offset: int
    digest: bytes

    @property
    def next_offset(self) -> int:
        """The offset after it."""
        return self.offset + 1


def digest_of(value: bytes) -> bytes:
    """Return the digest of the value of a record, `DIGEST_BYTES` long."""
    return blake2b(value, digest_size=DIGEST_BYTES).digest()


def last_record(record: ConsumerRecord) -> LastRecord:
    """Return what a record is recognised by."""
    return LastRecord(record.offset, digest_of(record.value or b""))


def next_offsets(last: Mapping[int, LastRecord]) -> dict[int, int]:
    """Return the offset after the last record that was read of each partition."""
    return {partition: record.next_offset for partition, record in last.items()}


async def lost(
    consumer: AIOKafkaConsumer, topic: str, last: Mapping[int, LastRecord]
) -> str | None:
    """Return how a topic shows that it has lost what was read of it; None if nothing shows it.

    `last` has the record that was read last of each partition. A record that retention has deleted
    shows nothing. Raises `KafkaError`. The consumer's assignment and position do not change.
    """
    await load_metadata(consumer._client, [topic])
    read = {TopicPartition(topic, partition): record for partition, record in last.items()}
    looks = [_first(consumer, tp, record.offset) for tp, record in read.items()]
    found = await within_time(asyncio.gather(*looks))
    suspects = [
        tp
        for (tp, record), looked in zip(read.items(), found, strict=True)
        if not _is_alike(looked.record, record)
    ]
    if not suspects:
        return None
    # A leader that is new knows the high water only after a while; `ends` waits for that.
    for tp, (end, _) in (await ends(consumer, suspects)).items():
        if how := await _how(consumer, tp, read[tp], end):
            return how
    return None


async def _how(
    consumer: AIOKafkaConsumer, tp: TopicPartition, record: LastRecord, end: int
) -> str | None:
    if end < record.next_offset:
        return f"{tp.topic}/{tp.partition} ends at {end}, and was read up to {record.next_offset}"
    found, is_there = await within_time(_first(consumer, tp, record.offset))
    if not is_there or _is_alike(found, record):
        return None
    if found is None or found.offset != record.offset:
        return f"{tp.topic}/{tp.partition} has no record at {record.offset}, where one was read"
    return f"{tp.topic}/{tp.partition} has another record at {record.offset} than was read"


def _is_alike(found: ConsumerRecord | None, record: LastRecord) -> bool:
    """Whether it is the record; what is damaged now shows nothing."""
    if found is None or found.offset != record.offset:
        return False
    return isinstance(found.value, Unread) or last_record(found) == record


class _Look(NamedTuple):
    record: ConsumerRecord | None
    """The first committed record from an offset on, in the batch that it is in, if any."""
    is_there: bool = True
    """Whether the partition has the offset."""


async def _first(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> _Look:
    leader = consumer._client.cluster.leader_for_partition(tp)
    if leader is None or leader < 0:
        raise LeaderNotAvailableError(tp)
    wanted = [(tp.topic, [(tp.partition, offset, _FETCH_BYTES)])]
    request = FetchRequest(MAX_WAIT_MS, 0, _FETCH_BYTES, READ_COMMITTED, wanted)
    for _ in range(MAX_FETCHES_OF_DAMAGED):
        # Not on the connection on which the consumer's own fetches wait for new records.
        group = ConnectionGroup.COORDINATION
        response: Any = await consumer._client.send(leader, request, group=group)
        try:
            for _, _, rest in answered(response):
                if found := next(_records(tp, rest, offset), None):
                    return _Look(found)
        except OffsetOutOfRangeError:
            return _Look(None, is_there=False)
    return _Look(None)


def _records(tp: TopicPartition, rest: Sequence[Any], offset: int) -> Iterator[ConsumerRecord]:
    """Return the records of an answer, which ends with aborted transactions and batches.

    From version 11 on, a number is between them.
    """
    *_, batches = rest
    aborted = next((each for each in rest[:-1] if isinstance(each, list)), None)
    fetched = FetchedBatches(batches or b"")
    return iter(TolerantRecords(tp, fetched, aborted, offset, None, None, True, READ_COMMITTED))
