"""Which topic it is that has a name: one that is deleted and made anew is another one.

Kafka gives each topic an id, from 2.8 on. Whatever is remembered of the offsets of a topic is worth
nothing for the next one of that name, so the id is remembered with it. Where there is none, at the
broker or in what was remembered before it was asked for, the name has to do.

aiokafka knows of no ids, so what asks for them is made of its parts.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Iterable, Mapping
from io import BytesIO
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    NodeNotReadyError,
    UnknownTopicOrPartitionError,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)
from aiokafka.structs import OffsetAndMetadata

from models.errors import NeedsOperator

Partition = TypeVar("Partition", bound=TopicPartition)

LOOKS: Final = 100
PAUSE: Final = 0.1
"""Seconds between two looks for a topic that was made a moment ago."""
_NONE: Final = bytes(16)


class TopicRemade(NeedsOperator):
    """What a worker has in memory is of a topic that is no more, or was longer."""


class Uuid(AbstractType[bytes]):  # type: ignore[misc]
    """A field of sixteen bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """The bytes as they are."""
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """The next sixteen bytes."""
        return data.read(16)


def to_bytes(topic_id: str) -> bytes:
    """Return an id as it is on the wire."""
    return base64.urlsafe_b64decode(topic_id + "==")


def from_bytes(raw: bytes) -> str:
    """Return an id as Kafka's own tools print it; "" for none."""
    return "" if raw == _NONE else base64.urlsafe_b64encode(raw).decode().rstrip("=")


def same(one: str, other: str) -> bool:
    """Whether these can be ids of the same topic: that is not known where one is missing."""
    return one == other or not one or not other


async def topic_ids(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, str]:
    """Return the ids of those topics that exist, as one broker knows them; raises `KafkaError`.

    They are "" at a broker that has no ids.
    """
    wanted = sorted(topics)
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        response: Any = await client.send(node, _Metadata(wanted))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return dict.fromkeys(wanted, "")
    return {
        name: from_bytes(raw)
        for code, name, raw, *_ in response.topics
        if code != UnknownTopicOrPartitionError.errno
    }


async def ids_when_there(client: AIOKafkaClient, topics: Collection[str]) -> dict[str, str]:
    """The same of topics of which some may have been made a moment ago; raises `KafkaError`."""
    for _ in range(LOOKS):
        if len(found := await topic_ids(client, topics)) == len(topics):
            return found
        await asyncio.sleep(PAUSE)
    raise UnknownTopicOrPartitionError(", ".join(sorted(set(topics) - found.keys())))


async def committed(
    consumer: AIOKafkaConsumer, partitions: Iterable[Partition], ids: Mapping[str, str]
) -> dict[Partition, int]:
    """Return the offsets that the consumer's group has noted for the topics with these ids.

    What was noted for an earlier topic of the same name is left out. Raises `KafkaError`.
    """
    wanted = list(partitions)
    noted = await consumer._coordinator.fetch_committed_offsets(wanted)
    return {
        partition: noted[partition].offset
        for partition in wanted
        if partition in noted
        and noted[partition].offset >= 0
        and same(noted[partition].metadata or "", ids.get(partition.topic, ""))
    }


def to_commit(
    offsets: Mapping[Partition, int], ids: Mapping[str, str]
) -> dict[Partition, OffsetAndMetadata]:
    """Return offsets in the form to commit them in, for topics with these ids."""
    return {
        partition: OffsetAndMetadata(offset, ids.get(partition.topic, ""))
        for partition, offset in offsets.items()
    }


class _MetadataResponse(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", Uuid), ("name", CompactString()), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Metadata(Request[_MetadataRequest]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        wanted: list[Any] = [(_NONE, name, {}) for name in self._topics]
        return request_struct_class(wanted, False, False, False, {})
