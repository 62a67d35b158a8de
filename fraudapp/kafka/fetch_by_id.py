"""Fetches by topic id, so that a topic made anew under the same name is not read for the old one.

A client that fetches by name continues in the new topic at its offset in the old one, and gets no
error. Kafka takes topic ids in a fetch from 3.1 on, and refuses an id that is not the topic's.
aiokafka has no such fetch; this one is built from its protocol classes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from fraudapp.kafka.topic_ids import Uuid, from_bytes, to_bytes, topic_ids

REFETCH_SECONDS: Final = 0.1
"""Seconds until the next fetch after a broker has refused a topic id."""
_TOPIC_ID_ERRORS: Final = (100, 103)  # UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID
_TOPIC_ID_VERSION: Final = 13
"""Version of the fetch API from which on requests carry topic ids in place of names."""


class FetchById:
    """Sends the requests of a client, and turns its fetches into fetches by topic id.

    A pinned topic is fetched by its pinned id: if it was made anew, a fetch fails as if the topic
    did not exist. Other topics are fetched by the id that they have now.
    """

    def __init__(self, client: AIOKafkaClient, pinned: Mapping[str, str]) -> None:
        """`pinned` are ids by name; if all are "", as at an old broker, fetches go out by name."""
        self._client = client
        self._send = client.send
        self._pinned = {topic: topic_id for topic, topic_id in pinned.items() if topic_id}
        self._ids: dict[str, str] = {}

    async def send(self, node: int, request: Any, **options: Any) -> Any:
        """See `AIOKafkaClient.send`, which this replaces."""
        if not self._pinned or not isinstance(request, FetchRequest):
            return await self._send(node, request, **options)
        ids = await self._ids_of([topic for topic, _ in request.topics])
        if not all(ids.values()):
            return await self._send(node, request, **options)
        response = await self._send(node, _Fetch(request, ids), **options)
        if response.API_VERSION < _TOPIC_ID_VERSION:
            return response
        names = {topic_id: name for name, topic_id in ids.items()}
        return await self._with_names(response, names)

    async def _ids_of(self, topics: list[str]) -> dict[str, str]:
        self._ids.update(self._pinned)
        if unknown := [topic for topic in topics if topic not in self._ids]:
            self._ids.update(await topic_ids(self._client, unknown))
        return {topic: self._ids.get(topic, "") for topic in topics}

    async def _with_names(self, response: Any, names: Mapping[str, str]) -> Any:
        """Return the response by topic names, as in the latest version that aiokafka knows."""
        topics = []
        for raw, partitions, _ in response.topics:
            name = names[from_bytes(raw)]
            topics.append((name, [_without_tags(*partition) for partition in partitions]))
            if any(code in _TOPIC_ID_ERRORS for _, code, *_ in partitions):
                self._ids.pop(name, None)
                await asyncio.sleep(REFETCH_SECONDS)
        return SimpleNamespace(API_VERSION=response.API_VERSION, topics=topics)


def _without_tags(
    partition: int,
    code: int,
    high_water: int,
    last_stable: int,
    log_start: int,
    tagged: list[tuple[int, int, Any]] | None,
    replica: int,
    records: bytes | None,
    _: Any,
) -> tuple[Any, ...]:
    if code in _TOPIC_ID_ERRORS:
        code = UnknownTopicOrPartitionError.errno
    aborted = None if tagged is None else [(producer, first) for producer, first, _ in tagged]
    return partition, code, high_water, last_stable, log_start, aborted, replica, records or b""


class _FetchResponse(Response):  # type: ignore[misc]
    API_KEY = 1
    API_VERSION = _TOPIC_ID_VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("session_id", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("highwater_offset", Int64),
                        ("last_stable_offset", Int64),
                        ("log_start_offset", Int64),
                        (
                            "aborted_transactions",
                            CompactArray(
                                ("producer_id", Int64),
                                ("first_offset", Int64),
                                ("tags", TaggedFields),
                            ),
                        ),
                        ("preferred_read_replica", Int32),
                        ("message_set", CompactBytes),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _FetchRequest(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 1
    API_VERSION = _TOPIC_ID_VERSION
    RESPONSE_TYPE = _FetchResponse
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("max_wait_time", Int32),
        ("min_bytes", Int32),
        ("max_bytes", Int32),
        ("isolation_level", Int8),
        ("session_id", Int32),
        ("session_epoch", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("current_leader_epoch", Int32),
                        ("fetch_offset", Int64),
                        ("last_fetched_epoch", Int32),
                        ("log_start_offset", Int64),
                        ("max_bytes", Int32),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        (
            "forgotten_topics_data",
            CompactArray(
                ("topic_id", Uuid), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
            ),
        ),
        ("rack_id", CompactString()),
        ("tags", TaggedFields),
    )


class _Fetch(Request[_FetchRequest]):  # type: ignore[misc]
    API_KEY = 1

    def __init__(self, plain: FetchRequest, ids: Mapping[str, str]) -> None:
        self._plain = plain
        self._ids = ids

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return a request by name for a broker that takes no topic ids."""
        _, latest = versions.get(self.API_KEY, (0, 0))
        if latest >= _TOPIC_ID_VERSION:
            return super().prepare(versions)
        return self._plain.prepare(versions)

    def build(self, request_struct_class: type[_FetchRequest]) -> _FetchRequest:
        plain = self._plain
        topics: list[Any] = [
            (
                to_bytes(self._ids[topic]),
                [
                    (partition, -1, offset, -1, -1, max_bytes, {})
                    for partition, offset, max_bytes in partitions
                ],
                {},
            )
            for topic, partitions in plain.topics
        ]
        return request_struct_class(
            -1,
            plain._max_wait_ms,
            plain._min_bytes,
            plain._max_bytes,
            plain._isolation_level,
            0,
            -1,
            topics,
            [],
            plain._rack_id,
            {},
        )
