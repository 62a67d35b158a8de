"""Fetches from the topic that was meant, and not from another one that has its name by now.

A client that asks by name goes on in the new topic at the offset where it was in the old one, and
never hears of it. Kafka from 3.1 on can be asked by id, and refuses what is of another topic.
aiokafka cannot ask so, and this is made of its parts.
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

PAUSE: Final = 0.1
"""Seconds until a topic that is another one by now is asked for again."""
_ANOTHER_TOPIC: Final = (100, 103)  # UNKNOWN_TOPIC_ID, INCONSISTENT_TOPIC_ID
_BY_ID: Final = 13
"""Version of a fetch from which on topics have ids in place of names."""


class FetchById:
    """Sends the requests of a client, its fetches by the ids of topics.

    Topics that have been `pinned` have the id of then: if one was made anew, nothing more is had of
    it, as of one that does not exist. Other topics have the id that they have now.
    """

    def __init__(self, client: AIOKafkaClient, pinned: Mapping[str, str]) -> None:
        """`pinned` are ids by name; where they are all "", the broker is asked as ever."""
        self._client = client
        self._send = client.send
        self._pinned = {topic: topic_id for topic, topic_id in pinned.items() if topic_id}
        self._ids: dict[str, str] = {}

    async def send(self, node: int, request: Any, **options: Any) -> Any:
        """See `AIOKafkaClient.send`."""
        if not self._pinned or not isinstance(request, FetchRequest):
            return await self._send(node, request, **options)
        ids = await self._ids_of([topic for topic, _ in request.topics])
        if not all(ids.values()):
            return await self._send(node, request, **options)
        response = await self._send(node, _Fetch(request, ids), **options)
        if response.API_VERSION < _BY_ID:
            return response
        return await self._named(response, {topic_id: name for name, topic_id in ids.items()})

    async def _ids_of(self, topics: list[str]) -> dict[str, str]:
        self._ids.update(self._pinned)
        if unknown := [topic for topic in topics if topic not in self._ids]:
            self._ids.update(await topic_ids(self._client, unknown))
        return {topic: self._ids.get(topic, "") for topic in topics}

    async def _named(self, response: Any, names: Mapping[str, str]) -> Any:
        """Return the response in the form of the last version that aiokafka knows."""
        topics = []
        for raw, partitions, _ in response.topics:
            name = names[from_bytes(raw)]
            topics.append((name, [_as_before(*partition) for partition in partitions]))
            if any(code in _ANOTHER_TOPIC for _, code, *_ in partitions):
                self._ids.pop(name, None)
                await asyncio.sleep(PAUSE)
        return SimpleNamespace(API_VERSION=response.API_VERSION, topics=topics)


def _as_before(
    number: int,
    code: int,
    high_water: int,
    stable: int,
    start: int,
    aborted: list[tuple[int, int, Any]] | None,
    replica: int,
    records: bytes | None,
    _: Any,
) -> tuple[Any, ...]:
    if code in _ANOTHER_TOPIC:
        code = UnknownTopicOrPartitionError.errno
    ended = None if aborted is None else [(producer, first) for producer, first, _ in aborted]
    return number, code, high_water, stable, start, ended, replica, records or b""


class _FetchResponse(Response):  # type: ignore[misc]
    API_KEY = 1
    API_VERSION = _BY_ID
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
    API_VERSION = _BY_ID
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
        """The plain request for a broker that takes no ids."""
        _, latest = versions.get(self.API_KEY, (0, 0))
        return super().prepare(versions) if latest >= _BY_ID else self._plain.prepare(versions)

    def build(self, request_struct_class: type[_FetchRequest]) -> _FetchRequest:
        plain = self._plain
        topics: list[Any] = [
            (
                to_bytes(self._ids[topic]),
                [(number, -1, offset, -1, -1, size, {}) for number, offset, size in partitions],
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
