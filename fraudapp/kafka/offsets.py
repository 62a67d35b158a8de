"""High water and last stable offset of partitions, as a fetch returns them.

`ListOffsets` is not enough. Some brokers that are compatible with Kafka answer it with the first
offset of the last batch plus one, and it says nothing of open transactions. A reader goes by the
offsets in the response to a fetch, so they are taken from one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, NamedTuple, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest

T = TypeVar("T")

ANSWER_TIMEOUT: Final = 10.0
"""Seconds in which brokers have to answer, by default."""
_RETRY_SECONDS: Final = 0.2
_MAX_FETCH_BYTES: Final = 1
"""As few as possible: the records of the fetch are thrown away."""
MAX_WAIT_MS: Final = 1
"""Not 0: without any wait, the embedded broker answers for no partition."""
_LATEST: Final = -1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
READ_COMMITTED: Final = 1
"""The number of this isolation level in Kafka's protocol."""
_STABLE_OFFSET_VERSION: Final = 4
"""Version of the fetch API from which on responses have the last stable offset."""


class End(NamedTuple):
    """Where a partition ends, for producers and for readers of committed records."""

    high_water: int
    """High water: the offset that the next record gets."""
    stable: int
    """Last stable offset: no transaction is open before it, and readers get no further."""


class OpenTransaction(kafka_errors.KafkaError):  # type: ignore[misc]
    """Records cannot be read before the transaction of another producer has ended."""

    def __init__(self, partition: TopicPartition, offset: int) -> None:
        """`offset` is that of the first such record."""
        super().__init__(
            f"{partition.topic}/{partition.partition}/{offset} belongs to a transaction of "
            "another producer, which is neither committed nor aborted yet"
        )


async def within_time(answer: Awaitable[T]) -> T:
    """Bound a call to aiokafka, which may retry without end and without a log message.

    Raises `KafkaTimeoutError` after `ANSWER_TIMEOUT`.
    """
    try:
        return await asyncio.wait_for(answer, ANSWER_TIMEOUT)
    except asyncio.TimeoutError:
        raise kafka_errors.KafkaTimeoutError(f"no answer within {ANSWER_TIMEOUT:g} s") from None


async def ends(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], within: float = ANSWER_TIMEOUT
) -> dict[TopicPartition, End]:
    """Return the ends of partitions, of any topic, assigned or not; raises `KafkaError`.

    `consumer` has to read committed records only; its assignment and position do not change.
    Errors that may pass are retried for `within` seconds; then the last one is raised. aiokafka's
    own call takes longer to give up, and does not give the reason.
    """
    wanted = list(partitions)
    failures: list[kafka_errors.KafkaError] = []
    try:
        return await asyncio.wait_for(_retry(consumer, wanted, failures), within)
    except asyncio.TimeoutError:
        if failures:
            raise failures[-1] from None
        raise kafka_errors.KafkaTimeoutError(f"no answer within {within:g} s") from None


async def _retry(
    consumer: AIOKafkaConsumer,
    partitions: list[TopicPartition],
    failures: list[kafka_errors.KafkaError],
) -> dict[TopicPartition, End]:
    while True:
        try:
            return await _ends(consumer, partitions)
        except kafka_errors.KafkaError as exc:
            if not exc.retriable:
                raise
            failures.append(exc)
            if exc.invalid_metadata:
                await consumer._client.force_metadata_update()
            await asyncio.sleep(_RETRY_SECONDS)


async def _ends(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
) -> dict[TopicPartition, End]:
    await load_metadata(consumer._client, {tp.topic for tp in partitions})
    requested = dict.fromkeys(partitions, _LATEST)
    answers = await consumer._fetcher._proc_offset_requests(requested)
    latest: Mapping[TopicPartition, int] = {tp: offset for tp, (offset, _) in answers.items()}
    by_leader: defaultdict[int, list[TopicPartition]] = defaultdict(list)
    for tp in latest:
        leader = consumer._client.cluster.leader_for_partition(tp)
        if leader is None or leader < 0:
            raise kafka_errors.LeaderNotAvailableError(tp)
        by_leader[leader].append(tp)
    fetches = (
        _fetch(consumer, leader, {tp: latest[tp] for tp in led})
        for leader, led in by_leader.items()
    )
    found = await asyncio.gather(*fetches)
    return {tp: end for each in found for tp, end in each.items()}


async def written_since(
    consumer: AIOKafkaConsumer, moment: datetime, otherwise: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the first offset of each partition that was written at a moment or later.

    That goes by the timestamps of the records; `otherwise` has the offset of a partition without
    such a record. Raises `KafkaError`.
    """
    timestamp = max(0, (moment - _EPOCH) // timedelta(milliseconds=1))
    found = await consumer.offsets_for_times(dict.fromkeys(otherwise, timestamp))
    return {
        tp: each.offset if (each := found.get(tp)) and each.offset >= 0 else end
        for tp, end in otherwise.items()
    }


async def load_metadata(client: AIOKafkaClient, topics: Iterable[str]) -> None:
    """Fetch the metadata of topics that the client has none of.

    Raises a `KafkaError` for a topic that does not exist, or that our user may not see.
    """
    cluster = client.cluster
    for topic in topics:
        await client.add_topic(topic)
        if cluster.partitions_for_topic(topic) is None:
            await client.force_metadata_update()
        if topic in cluster.unauthorized_topics:
            raise kafka_errors.TopicAuthorizationFailedError(topic)
        if cluster.partitions_for_topic(topic) is None:
            raise kafka_errors.UnknownTopicOrPartitionError(topic)


def answered(response: Any) -> Iterator[tuple[TopicPartition, int, list[Any]]]:
    """Yield partition, high water, and the rest of what a fetch has found, as its version has it.

    Raises the `KafkaError` that a partition was answered with.
    """
    for topic, answers in response.topics:
        for partition, code, high_water, *rest in answers:
            tp = TopicPartition(topic, partition)
            error = kafka_errors.for_code(code)
            if error is not kafka_errors.NoError:
                raise error(tp)
            yield tp, high_water, rest


async def _fetch(
    consumer: AIOKafkaConsumer, leader: int, offsets: Mapping[TopicPartition, int]
) -> dict[TopicPartition, End]:
    by_topic: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for (topic, partition), offset in offsets.items():
        by_topic[topic].append((partition, offset, _MAX_FETCH_BYTES))
    request = FetchRequest(MAX_WAIT_MS, 0, _MAX_FETCH_BYTES, READ_COMMITTED, list(by_topic.items()))
    response: Any = await consumer._client.send(leader, request)
    found: dict[TopicPartition, End] = {}
    for tp, high_water, rest in answered(response):
        stable = rest[0] if response.API_VERSION >= _STABLE_OFFSET_VERSION else high_water
        found[tp] = End(high_water, stable if stable >= 0 else high_water)
    if missing := offsets.keys() - found.keys():
        raise kafka_errors.LeaderNotAvailableError(missing)
    return found
