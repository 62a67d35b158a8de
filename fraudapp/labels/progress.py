"""How far partitions of the topic of labels are done with: the offsets of a consumer group.

A worker that has no index of a partition reads it from its beginning. What its former owners have
sent to other topics is not to be sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Annotated, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from msgspec import Meta, Struct

from fraudapp.kafka.last_records import LastRecord
from fraudapp.kafka.offsets import within_time
from fraudapp.kafka.topic_ids import same
from fraudapp.operation import Operation

AGAIN_SECONDS: Final = 3_600.0
"""Seconds after which offsets are committed that have not changed."""

Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Done(Struct, frozen=True):
    """What owners have done with a partition of the topic of labels."""

    last: LastRecord | None = None
    """Up to this record, everything is taken in, and what was rejected or rerouted is sent."""
    settled: int = 0
    """Before this offset, no label waits: it is joined, or is a dead letter."""

    @property
    def handled(self) -> int:
        """The offset after `last`."""
        return self.last.next_offset if self.last else 0


class _Metadata(Struct):
    topic_id: str
    settled: Offset
    digest: bytes
    """Of the record before the offset that is committed."""


_decode: Final = msgspec.json.Decoder(_Metadata).decode
_encode: Final = msgspec.json.Encoder().encode


class Progress:
    """Reads and commits the offsets of the consumer's group."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        self.topic_id = ""
        """Id of the topic, "" where the broker has none; to be set before any call."""
        self.committing = Operation(f"committing what is done with {topic}")
        self._consumer = consumer
        self._topic = topic
        self._committed: dict[int, Done] = {}
        self._again_at = 0.0

    async def of(self, partition: int) -> Done:
        """Return what was done with a partition, in this topic; raises `KafkaError`."""
        tp = TopicPartition(self._topic, partition)
        commits = await within_time(self._consumer._coordinator.fetch_committed_offsets([tp]))
        done = self._done(commits.get(tp))
        self._committed[partition] = done
        return done

    def _done(self, commit: OffsetAndMetadata | None) -> Done:
        try:
            found = _decode(commit.metadata) if commit else None
        except msgspec.DecodeError:
            return Done()
        if commit is None or found is None or not same(found.topic_id, self.topic_id):
            return Done()
        if commit.offset <= 0:
            return Done()
        return Done(LastRecord(commit.offset - 1, found.digest), found.settled)

    async def commit(self, done: Mapping[int, Done]) -> None:
        """Commit what is done with partitions; failures are noted, not raised."""
        if monotonic() >= self._again_at:  # a group whose offsets stay the same is forgotten
            self._again_at = monotonic() + AGAIN_SECONDS
            self._committed.clear()
        changed = {each: now for each, now in done.items() if self._committed.get(each) != now}
        if not changed:
            return
        offsets = {
            TopicPartition(self._topic, partition): OffsetAndMetadata(
                now.handled, _encode(_metadata(self.topic_id, now)).decode()
            )
            for partition, now in changed.items()
        }
        self.committing.began()
        try:
            await within_time(self._consumer.commit(offsets))
        except KafkaError as exc:
            self.committing.failed(exc)
        else:
            self.committing.succeeded()
            self._committed |= changed


def _metadata(topic_id: str, done: Done) -> _Metadata:
    return _Metadata(topic_id, done.settled, done.last.digest if done.last else b"")
