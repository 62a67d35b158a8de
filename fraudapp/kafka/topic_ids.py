"""Topic ids: they tell a topic from one that was deleted and made anew under the same name.

Kafka gives each topic an id, from 2.8 on. Offsets of a topic mean nothing in the next topic of that
name, so the id is kept with them. Where an id is missing, because the broker is older or the
offsets were kept without one, the name has to do.

aiokafka has no topic ids; the metadata request that asks for them is built from its protocol
classes.
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

MAX_LOOKUPS: Final = 100
"""Requests for the ids of topics that were just created, at most."""
LOOKUP_PAUSE_SECONDS: Final = 0.1
"""Seconds between two such requests."""
_NO_ID: Final = bytes(16)


class TopicRemade(NeedsOperator):
    """A topic was deleted and made anew, or lost its end: the worker's offsets are void."""


class Uuid(AbstractType[bytes]):  # type: ignore[misc]
    """Protocol type of a topic id: sixteen bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Return the bytes as they are."""
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """Return the next sixteen bytes."""
        return data.read(16)


def to_bytes(topic_id: str) -> bytes:
    """Return the sixteen bytes of an id as printed by `from_bytes`."""
    return base64.urlsafe_b64decode(topic_id + "==")


def from_bytes(raw: bytes) -> str:
    """Return an id as Kafka's own tools print it; "" for none."""
    return "" if raw == _NO_ID else base64.urlsafe_b64encode(raw).decode().rstrip("=")


def same(one: str, other: str) -> bool:
    """Whether two ids may be of the same topic; true also where one is missing."""
    return one == other or not one or not other


async def topic_ids(client: AIOKafkaClient, topics: Iterable[str]) -> dict[str, str]:
    """Return the ids of those topics that exist, as one broker knows them; raises `KafkaError`.

    The ids are "" if the broker has none.
    """
    names = sorted(topics)
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    try:
        response: Any = await client.send(node, _Metadata(names))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return dict.fromkeys(names, "")
    return {
        name: from_bytes(raw)
        for code, name, raw, *_ in response.topics
        if code != UnknownTopicOrPartitionError.errno
    }


async def wait_for_topic_ids(client: AIOKafkaClient, topics: Collection[str]) -> dict[str, str]:
    """Return the ids of topics, waiting for those just created; raises `KafkaError`."""
    for _ in range(MAX_LOOKUPS):
        if len(found := await topic_ids(client, topics)) == len(topics):
            return found
        await asyncio.sleep(LOOKUP_PAUSE_SECONDS)
    raise UnknownTopicOrPartitionError(", ".join(sorted(set(topics) - found.keys())))


async def committed(
    consumer: AIOKafkaConsumer, partitions: Iterable[Partition], ids: Mapping[str, str]
) -> dict[Partition, int]:
    """Return the offsets that the consumer's group has committed for the topics with these ids.

    Partitions without one, or with one of an earlier topic of that name, are left out. Raises
    `KafkaError`.
    """
    asked = list(partitions)
    commits = await consumer._coordinator.fetch_committed_offsets(asked)
    return {
        tp: commits[tp].offset
        for tp in asked
        if tp in commits
        and commits[tp].offset >= 0
        and same(commits[tp].metadata or "", ids.get(tp.topic, ""))
    }


def to_commit(
    offsets: Mapping[Partition, int], ids: Mapping[str, str]
) -> dict[Partition, OffsetAndMetadata]:
    """Return offsets to commit, with the ids of their topics as metadata; see `committed`."""
    return {tp: OffsetAndMetadata(offset, ids.get(tp.topic, "")) for tp, offset in offsets.items()}


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
        topics: list[Any] = [(_NO_ID, name, {}) for name in self._topics]
        return request_struct_class(topics, False, False, False, {})
